/* The rules' reader: what it takes, what it leaves out and why, and that nothing breaks it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nfs/ids/rules.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct ids_variable variables[] = {
    {"HOME_NET", "[10.0.0.0/8,!10.9.0.0/16]"},
    {"EXTERNAL_NET", "!10.0.0.0/8"},
    {"HTTP_PORTS", "[80,8000:8009,!8005]"},
    {"LOOP", "[$LOOP]"},
};

static char last_reason[256];
static unsigned last_line, skipped_line, n_skipped;

static void skip_rule(void *arg, unsigned line, const char *reason)
{
    (void)arg;
    n_skipped++;
    skipped_line = line;
    snprintf(last_reason, sizeof(last_reason), "%s", reason);
}

static char error[IDS_ERROR_BYTES];

static struct ids_rules *read_text(const char *text, size_t bytes)
{
    const struct ids_rules_input input = {.text = text,
                                          .bytes = bytes,
                                          .variables = variables,
                                          .n_variables = N_OF(variables),
                                          .skip = skip_rule};

    last_reason[0] = '\0';
    n_skipped = 0;
    return ids_rules_read(&input, &last_line, error);
}

static struct ids_rules *read_good(const char *text)
{
    struct ids_rules *rules = read_text(text, strlen(text));

    if (rules == NULL)
        fail_msg("%s: %s (%s)", text, error, last_reason);
    assert_int_equal(n_skipped, 0);
    return rules;
}

/* --- what is taken ---------------------------------------------------------------------------- */

static void test_whole_rule(void **unused)
{
    struct ids_rules *rules =
        read_good("# a comment\n\ndrop tcp any any -> any 80 (msg:\"a \\\"b\\; c\"; \\\r\n"
                  "flow:to_server,established; content:\"GET |2f 2F|x\\;\"; nocase; offset:2; "
                  "depth:30; content:!\"|0d0a|\"; within:10; distance:3; "
                  "reference:url,x.y/z; metadata:a b, c d; "
                  "classtype:web-application-attack; sid:7; rev:3; gid:2;)");
    const struct ids_rule *rule = &rules->rules[0];

    (void)unused;
    assert_int_equal(rules->n_rules, 1);
    assert_string_equal(rule->msg, "a \"b; c");
    assert_string_equal(rule->category, "Web Application Attack");
    assert_int_equal(rule->severity, 1);
    assert_int_equal(rule->action, IDS_DROP);
    assert_int_equal(rule->sid * 10000 + rule->rev * 100 + rule->gid, 70302);
    assert_int_equal(rule->flow, IDS_TO_SERVER | IDS_ESTABLISHED);
    assert_int_equal(rule->n_contents, 2);
    assert_int_equal(rule->contents[0].length, 8);
    assert_memory_equal(rule->contents[0].bytes, "get //x;", 8);
    assert_int_equal(rule->contents[0].offset * 100 + rule->contents[0].depth, 230);
    assert_true(rule->contents[1].negated && rule->contents[1].relative);
    assert_int_equal(rule->contents[1].within, 10);
    assert_int_equal(rule->contents[1].distance, 3);
    assert_false(rule->plain);
    ids_rules_free(rules);
}

static void test_snort3_modifiers(void **unused)
{
    struct ids_rules *rules = read_good("alert udp any any -> any 53 ( msg:\"m\"; "
                                        "content:\"A,b\",nocase,depth 9,offset 1; "
                                        "content:\"c\",distance 1,within 5,fast_pattern; sid:1; )");
    const struct ids_rule *rule = &rules->rules[0];

    (void)unused;
    assert_memory_equal(rule->contents[0].bytes, "a,b", 3);
    assert_int_equal(rule->contents[0].depth, 9);
    assert_int_equal(rule->contents[1].within, 5);
    assert_int_equal(rule->fast, 1);
    ids_rules_free(rules);
}

static void test_fast_content(void **unused)
{
    struct ids_rules *rules =
        read_good("alert tcp any any -> any any (content:\"abc\"; content:\"abcdef\"; "
                  "content:!\"abcdefghi\"; within:9; distance:0; sid:1;)\n"
                  "alert tcp any any -> any any (content:\"abcdef\"; sid:2;)\n"
                  "alert tcp any any -> any any (content:\"ABCDEF\"; nocase; sid:3;)\n");

    (void)unused;
    assert_int_equal(rules->rules[0].fast, 1);
    assert_int_equal(rules->n_patterns, 2); /* one is of two rules */
    assert_int_equal(rules->first_rule[1], 2);
    assert_int_equal(rules->n_headers, 1);
    assert_true(rules->rules[1].plain && rules->headers[0].has_plain);
    ids_rules_free(rules);
}

/* --- headers ---------------------------------------------------------------------------------- */

static struct rill_endpoint endpoint(uint8_t a, uint8_t b, uint16_t port)
{
    return (struct rill_endpoint){
        .addr = {a, b, 0, 1}, .port = port, .family = 4, .proto = RILL_TCP};
}

static void expect_match(const char *header, const struct rill_endpoint *source,
                         const struct rill_endpoint *destination, bool expected)
{
    char text[300];
    struct ids_rules *rules;

    snprintf(text, sizeof(text), "alert %s (content:\"x\"; sid:1;)", header);
    rules = read_good(text);
    if (ids_header_matches(&rules->headers[0], source, destination) != expected)
        fail_msg("%s: matches %d", header, !expected);
    ids_rules_free(rules);
}

static void test_headers(void **unused)
{
    const struct rill_endpoint in = endpoint(10, 1, 1000), out = endpoint(192, 0, 80),
                               hole = endpoint(10, 9, 8005);
    const struct rill_endpoint six = {
        .addr = {0x20, 1, 0xd, 0xb8, 0x80}, .port = 80, .family = 6, .proto = RILL_TCP};

    (void)unused;
    expect_match("tcp $HOME_NET any -> $EXTERNAL_NET $HTTP_PORTS", &in, &out, true);
    expect_match("tcp $HOME_NET any -> $EXTERNAL_NET $HTTP_PORTS", &out, &in, false);
    expect_match("tcp $HOME_NET any <> $EXTERNAL_NET $HTTP_PORTS", &out, &in, true);
    expect_match("tcp $HOME_NET any -> any any", &hole, &out, false);
    expect_match("tcp any any -> any $HTTP_PORTS", &in, &hole, false);
    expect_match("tcp any any -> any ![80,90]", &in, &out, false);
    expect_match("tcp any 1000 -> [192.0.0.0/24, 10.1.0.0/16] :80", &in, &out, true);
    expect_match("tcp any 1001: -> any any", &in, &out, false);
    expect_match("tcp any !1000: -> any any", &in, &out, false);
    expect_match("tcp any any -> 192.0.0.0/29 [79,80]", &in, &out, true);
    expect_match("tcp any any -> 192.0.0.8/29 any", &in, &out, false);
    expect_match("tcp any any -> [any,!192.0.0.1] any", &in, &out, false);
    expect_match("udp any any -> any any", &in, &out, false);
    expect_match("tcp any any -> 2001:db8:8000::/33 80", &in, &six, true);
    expect_match("tcp any any -> 2001:db8:8000::/34 80", &in, &six, true);
    expect_match("tcp any any -> 2001:db8::/33 80", &in, &six, false);
}

/* --- single packets --------------------------------------------------------------------------- */

static void test_dsize(void **unused)
{
    static const struct {
        const char *dsize;
        uint32_t low, high;
    } rows[] = {{"300", 300, 300},
                {"<300", 0, 299},
                {"> 300", 301, IDS_DSIZE_MAX},
                {"300<>400", 300, 400},
                {"<1", 0, 0}};

    (void)unused;
    for (size_t i = 0; i < N_OF(rows); i++) {
        char text[300];
        struct ids_rules *rules;

        /* For a single segment all is taken that is for a datagram. */
        snprintf(text, sizeof(text),
                 "alert tcp any any -> any any (content:\"x\"; content:!\"y\"; pcre:\"/^x$/\"; "
                 "dsize:%s; sid:1;)\n"
                 "alert udp any any -> any any (content:\"x\"; dsize:%s; sid:2;)\n"
                 "alert tcp any any -> any any (content:\"x\"; msg:\"; dsize:7;\"; sid:3;)\n",
                 rows[i].dsize, rows[i].dsize);
        rules = read_text(text, strlen(text));
        assert_non_null(rules);
        if (!ids_has_hyperscan()) {
            ids_rules_free(rules);
            return;
        }
        assert_int_equal(rules->n_rules, 3);
        for (unsigned k = 0; k < 2; k++) {
            assert_int_equal(rules->rules[k].dsize_low, rows[i].low);
            assert_int_equal(rules->rules[k].dsize_high, rows[i].high);
            assert_false(rules->rules[k].plain);
        }
        assert_false(rules->rules[0].stream);
        assert_false(rules->rules[1].stream);
        assert_true(rules->rules[2].stream);
        assert_true(rules->rules[2].plain);
        ids_rules_free(rules);
    }
}

/* Of the packet alone: on what a rule is judged, and by what it is found. */
static void test_kinds(void **unused)
{
    static const struct {
        const char *rule;
        bool stream, bare, plain;
    } rows[] = {
        {"tcp any any -> any any (content:\"x\";", true, false, true},
        {"tcp any any -> any any (content:\"x\"; isdataat:5;", true, false, false},
        {"tcp any any -> any any (content:\"x\"; flags:S;", false, false, false},
        {"tcp any any -> any any (content:\"x\"; ttl:>5;", false, false, false},
        {"tcp any any -> any any (flow:established;", false, true, false},
        {"tcp any any -> any any (flags:S,12; msg:\"content:\\;\";", false, true, false},
        {"tcp any any -> any any (dsize:1;", false, true, false},
        {"udp any any -> any 53 (content:!\"x\"; dsize:>9;", false, true, false},
        {"udp any any -> any 53 (isdataat:512;", false, true, false},
        {"icmp any any -> any any (itype:8; icode:0;", false, true, false},
        {"icmp any any -> any any (itype:8; content:\"x\";", false, false, false},
        {"icmp any any -> any any (content:\"x\";", false, false, true},
        {"ip any any -> any any (ip_proto:47; fragbits:M;", false, true, false},
        {"ip any any -> any any (content:\"x\";", false, false, true},
    };

    (void)unused;
    for (size_t i = 0; i < N_OF(rows); i++) {
        struct ids_rules *rules;
        char text[200];

        snprintf(text, sizeof(text), "alert %s sid:1;)\n", rows[i].rule);
        rules = read_good(text);
        assert_int_equal(rules->rules[0].stream, rows[i].stream);
        assert_int_equal(rules->rules[0].bare, rows[i].bare);
        assert_int_equal(rules->rules[0].plain, rows[i].plain);
        assert_int_equal(rules->n_patterns, !rows[i].bare);
        assert_int_equal(rules->n_bare, rows[i].bare);
        ids_rules_free(rules);
    }
}

/* --- what is left out ------------------------------------------------------------------------- */

static void test_left_out(void **unused)
{
    static const struct {
        const char *rule, *reason;
    } rows[] = {
        {"log tcp any any -> any any (content:\"x\"; sid:1;)", "action 'log'"},
        {"pass tcp any any -> any any (content:\"x\"; sid:1;)", "action 'pass'"},
        {"alert http any any -> any any (content:\"x\"; sid:1;)", "protocol 'http'"},
        {"alert icmp any 8 -> any any (itype:8; sid:1;)", "ports with a protocol that has none"},
        {"alert ip any any -> any !80 (ttl:1; sid:1;)", "ports with a protocol that has none"},
        {"alert icmp any any -> any any (itype:256; sid:1;)", "itype '256'"},
        {"alert icmp any any -> any any (itype:3<>8; sid:1;)", "itype '3<>8'"},
        {"alert icmp any any -> any any (itype:; sid:1;)", "itype ''"},
        {"alert icmp any any -> any any (icode:>255; sid:1;)", "icode '>255'"},
        {"alert icmp any any -> any any (flags:S; sid:1;)", "flags with a protocol that has none"},
        {"alert udp any any -> any any (seq:1; sid:1;)", "seq with a protocol that has none"},
        {"alert tcp any any -> any any (itype:8; sid:1;)", "itype with a protocol that has none"},
        {"alert icmp any any -> any any (itype:8; flow:to_server; sid:1;)", "flow of a protocol"},
        {"alert tcp any any -> any any (flags:SX; sid:1;)", "flags 'SX'"},
        {"alert tcp any any -> any any (flags:; sid:1;)", "flags ''"},
        {"alert tcp any any -> any any (flags:S+*; sid:1;)", "flags 'S+*'"},
        {"alert tcp any any -> any any (flags:S,; sid:1;)", "flags 'S,'"},
        {"alert tcp any any -> any any (flags:S,+F; sid:1;)", "flags 'S,+F'"},
        {"alert ip any any -> any any (fragbits:X; sid:1;)", "fragbits 'X'"},
        {"alert ip any any -> any any (fragbits:+; sid:1;)", "fragbits '+'"},
        {"alert ip any any -> any any (ip_proto:xyz; sid:1;)", "ip_proto 'xyz'"},
        {"alert ip any any -> any any (ttl:5-3; sid:1;)", "ttl '5-3'"},
        {"alert ip any any -> any any (ttl:-; sid:1;)", "ttl '-'"},
        {"alert ip any any -> any any (ttl:1; fragoffset:0; sid:1;)", "keyword 'fragoffset'"},
        {"alert tcp any any -> any any (content:\"x\"; isdataat:!1,relative; sid:1;)",
         "on a stream, whose end"},
        {"alert tcp any any -> any any (isdataat:1,relative; content:\"x\"; sid:1;)",
         "relative, with no content before"},
        {"alert udp any any -> any any (content:!\"x\"; isdataat:1,relative; sid:1;)",
         "relative, with no content before"},
        {"alert udp any any -> any any (content:\"x\"; isdataat:-1,relative; sid:1;)",
         "isdataat '-1,relative'"},
        {"alert udp any any -> any any (content:\"x\"; isdataat:len; sid:1;)", "isdataat 'len'"},
        {"alert udp any any -> any any (content:\"x\"; isdataat:1,sideways; sid:1;)", "isdataat"},
        {"alert udp any any -> any any (content:\"x\"; byte_test:5,>,1,0; sid:1;)", "byte_test"},
        {"alert udp any any -> any any (content:\"x\"; byte_test:1,>,1; sid:1;)", "byte_test"},
        {"alert udp any any -> any any (content:\"x\"; byte_test:1,~,1,0; sid:1;)", "byte_test"},
        {"alert udp any any -> any any (content:\"x\"; byte_test:1,=,1,-1; sid:1;)", "byte_test"},
        {"alert udp any any -> any any (content:\"x\"; byte_test:1,=,0x,0; sid:1;)", "byte_test"},
        {"alert udp any any -> any any (content:\"x\"; byte_test:1,=,1,0,string; sid:1;)",
         "byte_test"},
        {"alert udp any any -> any any (content:\"x\"; byte_test:1,=,1,0,dec; sid:1;)",
         "byte_test"},
        {"alert udp any any -> any any (content:\"x\"; byte_test:10,=,1,0,string,dec; sid:1;)",
         "byte_test"},
        {"alert udp any any -> any any (content:\"x\"; byte_test:2,=,1,0,dce; sid:1;)",
         "byte_test"},
        {"alert udp any any -> any any (content:\"x\"; byte_jump:2,0; sid:1;)",
         "keyword 'byte_jump'"},
        {"alert tcp any any -> any (content:\"x\"; sid:1;)", "the header is not"},
        {"alert tcp any any <- any any (content:\"x\"; sid:1;)", "direction '<-'"},
        {"alert tcp $NOBODY any -> any any (content:\"x\"; sid:1;)", "variable $NOBODY is not set"},
        {"alert tcp $LOOP any -> any any (content:\"x\"; sid:1;)", "nested too deep"},
        {"alert tcp 10.0.0.300 any -> any any (content:\"x\"; sid:1;)", "is no address"},
        {"alert tcp 10.0.0.0/33 any -> any any (content:\"x\"; sid:1;)", "is no address"},
        {"alert tcp !any any -> any any (content:\"x\"; sid:1;)", "!any matches nothing"},
        {"alert tcp ![!10.0.0.1] any -> any any (content:\"x\"; sid:1;)", "negation"},
        {"alert tcp any 70000 -> any any (content:\"x\"; sid:1;)", "is no port"},
        {"alert tcp any 9:8 -> any any (content:\"x\"; sid:1;)", "is no port"},
        {"alert tcp any [1,2 -> any any (content:\"x\"; sid:1;)", "the header is not"},
        {"alert tcp any any -> any any content:\"x\"; sid:1;", "a rule is ACTION"},
        {"alert tcp any any -> any any (content:\"x\"; sid:1)", "without ';'"},
        {"alert tcp any any -> any any (content:\"x\";)", "no sid"},
        {"alert tcp any any -> any any (content:\"x\"; sid:-1;)", "sid '-1'"},
        {"alert tcp any any -> any any (isdataat:5; sid:1;)", "no content to search for"},
        {"alert tcp any any -> any any (content:!\"x\"; sid:1;)", "negated content on a stream"},
        {"alert tcp any any -> any any (content:\"x\"; content:!\"y\"; sid:1;)", "negated content"},
        {"alert tcp any any -> any any (content:\"x\"; content:!\"y\"; depth:5; sid:1;)",
         "negated content"},
        {"alert tcp any any -> any any (content:\"x\"; content:!\"y\"; within:5; distance:-1; "
         "sid:1;)",
         "distance below 0"},
        {"alert tcp any any -> any any (content:\"x\"; http_uri; sid:1;)", "keyword 'http_uri'"},
        {"alert tcp any any -> any any (http.uri; content:\"x\"; sid:1;)", "keyword 'http.uri'"},
        {"alert tcp any any -> any any (content:\"x\"; flowbits:set,a; sid:1;)",
         "keyword 'flowbits'"},
        {"alert tcp any any -> any any (content:\"x\"; dsize:>65535; sid:1;)", "dsize '>65535'"},
        {"alert tcp any any -> any any (content:\"x\"; dsize:<0; sid:1;)", "dsize '<0'"},
        {"alert tcp any any -> any any (content:\"x\"; dsize:5<>4; sid:1;)", "dsize '5'"},
        {"alert udp any any -> any any (content:\"x\"; dsize:; sid:1;)", "dsize ''"},
        {"alert udp any any -> any any (dsize:1; dsize:2; content:\"x\"; sid:1;)", "twice"},
        {"alert tcp any any -> any any (content:\"x\",http_uri; sid:1;)", "modifier 'http_uri'"},
        {"alert tcp any any -> any any (content:\"x\"; flow:only_stream; sid:1;)",
         "flow 'only_stream'"},
        {"alert tcp any any -> any any (content:\"x\"; flow:to_server,to_client; sid:1;)",
         "flow that can't be"},
        {"alert tcp any any -> any any (nocase; content:\"x\"; sid:1;)", "no content before"},
        {"alert tcp any any -> any any (content:\"\"; sid:1;)", "content that is empty"},
        {"alert tcp any any -> any any (content:\"|4|\"; sid:1;)", "content that is empty"},
        {"alert tcp any any -> any any (content:\"|41\"; sid:1;)", "content that is empty"},
        {"alert tcp any any -> any any (content:x; sid:1;)", "content without quotes"},
        {"alert tcp any any -> any any (content:\"xyz\"; depth:2; sid:1;)", "shorter than"},
        {"alert tcp any any -> any any (content:\"x\"; depth:70000; sid:1;)", "depth '70000'"},
        {"alert tcp any any -> any any (content:\"x\"; within:2; sid:1;)", "no content before"},
        {"alert tcp any any -> any any (content:\"x\"; content:\"y\"; within:2; depth:3; sid:1;)",
         "together with"},
        {"alert tcp any any -> any any (content:\"x\"; pcre:\"/a/U\"; sid:1;)", "pcre flag 'U'"},
        {"alert tcp any any -> any any (pcre:\"/a/R\"; content:\"x\"; sid:1;)",
         "relative, with no content before"},
        {"alert tcp any any -> any any (content:\"x\"; pcre:\"/^a$/R\"; sid:1;)", "anchor"},
        {"alert tcp any any -> any any (content:\"x\"; pcre:\"/^a/\"; sid:1;)", "anchor"},
        {"alert tcp any any -> any any (content:\"x\"; pcre:\"/a\\b/\"; sid:1;)", "anchor"},
        {"alert tcp any any -> any any (content:\"x\"; pcre:!\"/a/\"; sid:1;)", "negated pcre"},
        {"alert tcp any any -> any any (content:\"x\"; pcre:\"a\"; sid:1;)", "pcre that is not"},
        {"alert udp any any -> any any (content:\"x\"; pcre:\"/(a)\\1/\"; sid:1;)", "pcre: "},
        {"alert udp any any -> any any (content:\"x\"; pcre:\"/a(/\"; sid:1;)", "pcre: "},
    };

    (void)unused;
    for (size_t i = 0; i < N_OF(rows); i++) {
        char text[400];
        struct ids_rules *rules;

        snprintf(text, sizeof(text), "\n%s\nalert tcp any any -> any any (content:\"k\"; sid:9;)\n",
                 rows[i].rule);
        rules = read_text(text, strlen(text));
        assert_non_null(rules);
        if (n_skipped != 1 || strstr(last_reason, rows[i].reason) == NULL)
            fail_msg("%s: left out %u: '%s'", rows[i].rule, n_skipped, last_reason);
        assert_int_equal(rules->n_rules, 1); /* whole, or not at all */
        assert_int_equal(rules->rules[0].sid, 9);
        ids_rules_free(rules);
    }
}

static void test_line_numbers(void **unused)
{
    static const char text[] = "# one\n"
                               "alert tcp any any -> any any (content:\"k\"; sid:9;)\n"
                               "alert tcp any any -> any any (\\\n"
                               "   content:\"k\"; \\\n"
                               "   sid:9; sneeze:1;)\n";
    struct ids_rules *rules;

    (void)unused;
    rules = read_text(text, strlen(text));
    assert_int_equal(n_skipped, 1);
    assert_int_equal(skipped_line, 3); /* where it begins */
    assert_string_equal(last_reason, "keyword 'sneeze'");
    ids_rules_free(rules);
}

/* What makes all of it unusable. */
static void test_refused(void **unused)
{
    static const struct {
        const char *text, *why;
        unsigned line;
    } rows[] = {
        {"alert tcp any any -> any any (isdataat:1; sid:1;)\n", "none of the 1 rules can be used",
         0},
        {"\nipvar A\n", "a variable is set once", 2},
        {"ipvar A any\nipvar A any\n", "a variable is set once", 2},
        {"alert tcp any any -> any any (content:\"k\"; sid:9;)\nvar A any\n",
         "a variable is set once", 2},
    };

    (void)unused;
    for (size_t i = 0; i < N_OF(rows); i++) {
        assert_null(read_text(rows[i].text, strlen(rows[i].text)));
        assert_non_null(strstr(error, rows[i].why));
        assert_int_equal(last_line, rows[i].line);
    }
}

static void test_variables(void **unused)
{
    struct ids_rules *rules =
        read_good("ipvar HOME_NET 198.51.100.0/24\n"
                  "portvar P [$HTTP_PORTS,90]\n"
                  "alert tcp $HOME_NET any -> any $P (content:\"k\"; sid:9;)");
    const struct rill_endpoint port90 = endpoint(1, 1, 90),
                               in = {.addr = {198, 51, 100, 7}, .family = 4, .proto = RILL_TCP};

    (void)unused;
    assert_true(ids_header_matches(&rules->headers[0], &in, &port90));
    ids_rules_free(rules);
    rules = read_good(""); /* no rules at all are fine */
    assert_int_equal(rules->n_rules, 0);
    ids_rules_free(rules);
}

/* --- anything --------------------------------------------------------------------------------- */

static const char *const seeds_of_text[] = {
    "alert tcp [10.0.0.0/8,!$HOME_NET] 1:5 -> any !80 (msg:\"m\"; content:\"a|20 41|b\"; nocase; "
    "offset:1; depth:9; content:!\"x\"; distance:1; within:4; pcre:\"/ab[^c]+/ims\"; "
    "flow:to_server,established; classtype:unknown; sid:1; rev:2;)\n",
    "ipvar X [1.2.3.4,!2001:db8::/32]\nalert udp $X any <> any [1,2:3] ( content:\"a\",nocase,"
    "offset 3; content:\"b\",within 5,distance -2; sid:5; )\n# c\n\\\n",
    "alert ip any any -> any any (ttl:3-9; fragbits:!MD; ip_proto:!tcp; tos:>=7; content:\"ab\"; "
    "isdataat:!9,relative; byte_test:2,!&,0x1f,-3,relative,little; pcre:!\"/^a/Rs\"; sid:6;)\n"
    "alert tcp any any -> any any (flags:!SA+,12; window:<9; byte_test:3,<=,7,0,string,dec; "
    "isdataat:5; sid:7;)\nalert icmp any any -> any any (itype:<9; icode:0; sid:8;)\n",
};

static void test_mutations(void **unused)
{
    (void)unused;
    srand(7);
    for (int round = 0; round < 20000; round++) {
        char text[600];
        size_t n = (size_t)snprintf(text, sizeof(text), "%s",
                                    seeds_of_text[(unsigned)round % N_OF(seeds_of_text)]);
        struct ids_rules *rules;

        for (int k = rand() % 6; k >= 0; k--) {
            size_t at = (size_t)rand() % n;

            switch (rand() % 4) {
            case 0:
                text[at] = (char)rand();
                break;
            case 1:
                text[at] = "\"\\;|[](),!$:\n/{}*"[rand() % 17];
                break;
            case 2:
                n = at + 1;
                break;
            default:
                memmove(text + at, text + at + (n - at) / 2, n - at - (n - at) / 2);
                n -= (n - at) / 2;
            }
        }
        rules = read_text(text, n);
        ids_rules_free(rules);
    }
}

static void test_noise(void **unused)
{
    (void)unused;
    srand(11);
    for (int round = 0; round < 3000; round++) {
        char text[300];

        for (size_t i = 0; i < sizeof(text); i++)
            text[i] = rand() % 3 != 0 ? "alert tcp any ->(;:\"|\\)\n"[rand() % 24] : (char)rand();
        ids_rules_free(read_text(text, sizeof(text)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_rule),   cmocka_unit_test(test_snort3_modifiers),
        cmocka_unit_test(test_fast_content), cmocka_unit_test(test_headers),
        cmocka_unit_test(test_dsize),        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_left_out),     cmocka_unit_test(test_line_numbers),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_variables),
        cmocka_unit_test(test_mutations),    cmocka_unit_test(test_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
