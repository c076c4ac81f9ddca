/* What the texts of rules and lists are refused for, and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nfs/nf_testing.h"

static const char *const with_rules[] = {"rules=r.txt", NULL};

struct bad {
    const char *text, *part;
};

static void refuse_all(const char *const *settings, const char *option, const struct bad *rows,
                       size_t n)
{
    struct nf_bench b;

    nf_open(&b, "firewall", settings);
    for (size_t i = 0; i < n; i++) {
        const char *error = nf_object_error(&b, option, rows[i].text);

        if (strstr(error, rows[i].part) == NULL)
            fail_msg("%s: no '%s' in: %s", rows[i].text, rows[i].part, error);
    }
    nf_close(&b);
}

static void test_errors_in_rules(void **unused)
{
    static const struct bad rows[] = {
        {"\n# c\npermit any\n", "r.txt:3: begins with 'permit'"},
        {"allow sctp", "r.txt:1: 'sctp'"},
        {"allow 256", "'256'"},
        {"allow tcp udp", "'udp'"},
        {"allow tcp from", "from ''"},
        {"allow tcp from 10.0.0.1/8", "behind its prefix"},
        {"allow tcp from 10.0.0.0/33", "10.0.0.0/33"},
        {"allow tcp from 2001:db8::/129", "2001:db8::/129"},
        {"allow tcp from any from any", "'from' stands twice"},
        {"allow tcp to any to any", "'to' stands twice"},
        {"allow tcp from 10.0.0.0/8 to 2001:db8::/32", "two families"},
        {"allow tcp port 80", "'port' follows an end"},
        {"allow tcp to any port 80 port 81", "'port' follows an end"},
        {"allow tcp to any port", "port ''"},
        {"allow tcp to any port 65536", "port '65536'"},
        {"allow tcp to any port 81-80", "port '81'"},
        {"allow tcp to any port 80,81", "port '80,81'"},
        {"allow to any port 80", "write a rule for each"},
        {"allow icmp to any port 80", "write a rule for each"},
        {"allow inbound outbound", "direction is there already"},
        {"allow type echo-request", "type is for icmp"},
        {"allow tcp type 8", "type is for icmp"},
        {"allow icmp type", "type ''"},
        {"allow icmp type 256", "type '256'"},
        {"allow icmp type echo", "type 'echo'"},
        {"allow icmp type unreachable type redirect", "'type' stands twice"},
        {"allow icmp code 3", "'code' follows a type"},
        {"allow icmp type unreachable code 3 code 3", "'code' follows a type"},
        {"allow icmp type packet-too-big code 4", "'code' follows a type"},
        {"allow 1 type 3 code", "code ''"},
        {"allow 1 type 3 code 256", "code '256'"},
        {"allow icmp type 8", "is ICMP's or ICMPv6's"},
        {"allow icmp type unreachable code 3", "is ICMP's or ICMPv6's"},
    };

    (void)unused;
    refuse_all(with_rules, "rules", rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_errors_in_classbench(void **unused)
{
    static const char *const settings[] = {"rules=r.txt", "format=classbench", NULL};
    static const struct bad rows[] = {
        {"allow any", "r.txt:1: is no ClassBench filter"},
        {"@10.0.0.0/8 0.0.0.0/0 0 : 65535 0 : 65536 0x00/0x00", "no ClassBench"},
        {"@10.0.0.0/8 0.0.0.0/0 2 : 1 0 : 65535 0x00/0x00", "no ClassBench"},
        {"@10.0.0.0/33 0.0.0.0/0 0 : 1 0 : 65535 0x00/0x00", "no ClassBench"},
        {"@10.0.0.0 0.0.0.0/0 0 : 1 0 : 65535 0x00/0x00", "no ClassBench"},
        {"@::/0 ::/0 0 : 1 0 : 65535 0x00/0x00", "no ClassBench"},
        {"@10.0.0.0/8 0.0.0.0/0 0 : 1 0 : 65535 0x06/0x0F", "no ClassBench"},
        {"@10.0.0.0/8 0.0.0.0/0 0 : 1 0 : 65535 0x06/0xFF 0x0000/0x0000 permit", "no ClassBench"},
        {"@10.0.0.0/8 0.0.0.0/0 0 : 1 0 : 65535 0x06/0xFF allow deny", "no ClassBench"},
    };

    (void)unused;
    refuse_all(settings, "rules", rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_errors_in_lists(void **unused)
{
    static const char *const settings[] = {"deny_list=d.txt", NULL};
    static const struct bad rows[] = {
        {"10.0.0.0/8\nnonsense\n", "d.txt:2: 'nonsense'"},
        {"10.0.0.1/8", "10.0.0.1/8"},
        {"10.0.0.0/8 10.1.0.0/16", "alone on its line"},
    };

    (void)unused;
    refuse_all(settings, "deny_list", rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_long_line(void **unused)
{
    char text[700];
    struct bad row = {text, "r.txt:1: has more than 511 bytes"};

    (void)unused;
    memset(text, ' ', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    refuse_all(with_rules, "rules", &row, 1);
}

static void test_too_many_rules(void **unused)
{
    static const char line[] = "deny\n";
    size_t bytes = sizeof(line) - 1;
    char *text = malloc(65537 * bytes + 1);
    struct nf_bench b;
    const char *error;

    (void)unused;
    assert_non_null(text);
    for (size_t i = 0; i < 65537; i++)
        memcpy(text + i * bytes, line, bytes + 1);
    nf_open(&b, "firewall", with_rules);
    error = nf_object_error(&b, "rules", text);
    assert_non_null(strstr(error, "r.txt:65537: "));
    assert_non_null(strstr(error, "65536"));
    nf_close(&b);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_too_many_rules),
        cmocka_unit_test(test_errors_in_rules),
        cmocka_unit_test(test_errors_in_classbench),
        cmocka_unit_test(test_errors_in_lists),
        cmocka_unit_test(test_long_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
