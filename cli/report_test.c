#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/report.h"
#include "lib/config/config.h"

/* A run with something in every field: in = released + dropped. */
static void fill(struct rill_report *r)
{
    memset(r, 0, sizeof(*r));
    r->packets_in = 1234567;
    r->bytes_in = 987654321;
    r->packets_released = 1234500;
    r->bytes_released = 987650000;
    assert_int_equal(rill_tally_add(&r->packets_dropped, "unsolicited", 50), 0);
    assert_int_equal(rill_tally_add(&r->packets_dropped, "malformed_short_ip", 10), 0);
    assert_int_equal(rill_tally_add(&r->packets_dropped, "never_seen", 0), 0);
    assert_int_equal(rill_tally_add(&r->packets_dropped, "malformed_short_ip", 7), 0);
    r->packets_turned = 7;
    r->inside_packets = 600000;
    r->outside_packets = 634567;
    r->replies_unmapped = 50;
    r->inverse_checked = 634500;
    r->outward_checked = 600000;
    r->flows = 4321;
    r->flowlets = 99999;
    r->flowlets_moved = 1000;
    r->flowlets_seamless = 788;
    r->flowlets_stalled = 212;
    r->moves_by_gap = 800;
    r->moves_by_size = 200;
    r->seamless_by_gap = 780;
    r->recoveries = 4;
    assert_int_equal(
        rill_report_add_failure(r, &(struct rill_report_failure){.role = "unit:2",
                                                                 .id = 2,
                                                                 .at_s = 0.25,
                                                                 .recovered_after_ns = 3032000,
                                                                 .packets_lost = 7,
                                                                 .from_replica = 3,
                                                                 .from_output_logger = 1}),
        0);
    assert_int_equal(
        rill_report_add_failure(r, &(struct rill_report_failure){.role = "output-logger:1",
                                                                 .id = 7,
                                                                 .at_s = 0.375,
                                                                 .detected_after_ns = 5,
                                                                 .recovered_after_ns = -1}),
        0);
    assert_int_equal(
        rill_report_add_controller(r, &(struct rill_report_controller){.id = 1,
                                                                       .packets_in = 900,
                                                                       .bytes_in = 90000,
                                                                       .packets_to_units = 850,
                                                                       .packets_passed = 20,
                                                                       .packets_dropped = 29,
                                                                       .packets_in_flight = 1,
                                                                       .flows = 7,
                                                                       .flowlets = 70,
                                                                       .flowlets_moved = 5}),
        0);
    assert_int_equal(
        rill_report_add_object(r, &(struct rill_report_object){.option = "rules",
                                                               .name = "rules.txt",
                                                               .version = "12ab",
                                                               .updates_taken = 3,
                                                               .updates_refused = 1,
                                                               .lines_skipped = 2,
                                                               .error = "rules.txt:7: bad"}),
        0);
    r->state_pushes = 7000;
    r->state_pulls = 3;
    r->units_active_max = 4;
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(
            rill_report_add_unit(r, &(struct rill_report_unit){i + 1, 700000 - i, 0.875 - i * 0.5}),
            0);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(rill_report_add_epoch(r, i * 0.1, i < 4 ? i : 5), 0);
    for (uint64_t i = 1; i <= 100; i++)
        rill_histogram_record(&r->latency_ns, i);
    r->replay_s = 0.5;
    rill_tally_add(&r->counters, "unit.late_or_duplicate", 2);
    rill_tally_add(&r->nf_counters, "mappings", 4321);
    rill_report_text(&r->mode, "flowlet");
    rill_report_text(&r->state_mode, "proactive");
    rill_report_text(&r->clock, "virtual");
    rill_report_text(&r->nf, "nat");
    rill_report_text(&r->trace, "a trace.pcap");
    rill_report_text(&r->capture, "build/out.pcapng");
}

/* What rill_report_print() writes, to be freed. Inlined, gcc 12 takes the text for the variable
 * that open_memstream() was given, and warns that it dangles. */
static __attribute__((noinline)) char *screen(const struct rill_report *r)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    assert_non_null(out);
    rill_report_print(r, out);
    fclose(out);
    return text;
}

#define GOLDEN(scale, bar)                                                                         \
    "rill " RILL_VERSION ": a trace.pcap through nat, 2 units, virtual clock, 0.500 s\n"           \
    "\n"                                                                                           \
    "packets    1,234,567 in (600,000 from inside, 634,567 from outside), 987,654,321 bytes\n"     \
    "           1,234,500 released, 67 dropped, 0 in flight, 0 reordered\n"                        \
    "           7 turned round by the NF, and in again\n"                                          \
    "flows      4,321 in 99,999 flowlets\n"                                                        \
    "moves      1,000 flowlets went to another unit: 800 by gap, 200 by size\n"                    \
    "seamless   78.8% of the moves (97.5% of those by gap); 212 waited for state\n"                \
    "latency    p50 50 ns   p75 75 ns   p90 90 ns   p99 99 ns   p99.9 100 ns   max 100 ns\n"       \
    "units      at most 4 in use at the end of any 100 ms; over time, 100 ms a column" scale ":\n" \
    "           |" bar "|\n"                                                                       \
    "           unit 1        700,000 packets, at most 88% full then\n"                            \
    "           unit 2        699,999 packets, at most 38% full then\n"                            \
    "drops                50 unsolicited\n"                                                        \
    "                     17 malformed_short_ip\n"                                                 \
    "nf         4,321 mappings\n"                                                                  \
    "objects    rules.txt, version 12ab; updates: 3 taken, 1 refused\n"                            \
    "failures   unit:2 at 0.250 s, noticed after 0 ns, recovered after 3.03 ms; 4 flows (3 from "  \
    "replicas), 7 packets lost\n"                                                                  \
    "           output-logger:1 at 0.375 s, noticed after 5 ns, recovered not; 0 flows (0 from "   \
    "replicas), 0 packets lost\n"                                                                  \
    "check      634,500 released to the inside and 600,000 to the outside compared with the "      \
    "capture: all right\n"                                                                         \
    "capture    build/out.pcapng\n"                                                                \
    "books      balance: 1,234,567 in = 1,234,500 released + 67 dropped + 0 in flight\n"

static void golden_screen(void **state)
{
    struct rill_report r;
    char *text;

    (void)state;
    fill(&r);
    assert_non_null(setlocale(LC_CTYPE, "C"));
    text = screen(&r);
    assert_string_equal(text, GOLDEN("", "01235"));
    free(text);
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    text = screen(&r);
    assert_string_equal(text, GOLDEN(", █ = 5", " ▂▄▅█"));
    free(text);
    setlocale(LC_CTYPE, "C");
    rill_report_fini(&r);
}

/* That the last line of the screen begins so. */
static void assert_last_line(const struct rill_report *r, const char *begins)
{
    char *text = screen(r);
    size_t at = strlen(text) - 1;

    while (at > 0 && text[at - 1] != '\n')
        at--;
    if (strncmp(text + at, begins, strlen(begins)) != 0)
        fail_msg("last line: %s", text + at);
    free(text);
}

static void books_that_do_not_balance(void **state)
{
    struct rill_report r;

    (void)state;
    fill(&r);
    assert_true(rill_report_balances(&r));
    assert_true(rill_report_sound(&r));
    r.packets_released--;
    assert_false(rill_report_balances(&r));
    assert_last_line(&r, "books      DO NOT BALANCE: 1,234,567 in = ");
    r.packets_in_flight = 1;
    assert_false(rill_report_balances(&r));
    assert_last_line(&r, "books      balance, BUT NOT ALL CAME OUT: 1,234,567 in = ");
    r.packets_released++;
    assert_false(rill_report_balances(&r));
    r.packets_in_flight = 0;
    assert_true(rill_report_balances(&r));
    r.controllers[0].packets_to_units++;
    assert_false(rill_report_balances(&r));
    assert_last_line(&r, "books      DO NOT BALANCE: 1,234,567 in = ");
    rill_report_fini(&r);
}

static void wrong_packets_are_named(void **state)
{
    struct rill_report r;
    char *text;

    (void)state;
    fill(&r);
    r.inverse_mismatches = 2;
    r.first_mismatch_packet = 17;
    assert_false(rill_report_sound(&r));
    r.inverse_mismatches = 0;
    r.outward_mismatches = 3;
    assert_false(rill_report_sound(&r));
    text = screen(&r);
    assert_non_null(strstr(text, "3 WRONG, the first is packet 17\n"));
    free(text);
    rill_report_fini(&r);
}

static void connections_that_change_their_mapping(void **state)
{
    struct rill_report r;
    char *text;

    (void)state;
    fill(&r);
    r.mappings_changed = 2;
    assert_int_equal(rill_tally_add(&r.counters, "controller.flows_lost", 1), 0);
    assert_false(rill_report_sound(&r));
    text = screen(&r);
    assert_non_null(strstr(text, "connections were MAPPED ANEW 2 times"));
    free(text);
    assert_int_equal(rill_tally_add(&r.counters, "controller.flows_evicted", 1), 0);
    assert_true(rill_report_sound(&r));
    r.mappings_changed = 3;
    assert_false(rill_report_sound(&r));
    r.controllers[0].died = true; /* who knows what it had counted */
    assert_true(rill_report_sound(&r));
    rill_report_fini(&r);
}

static void assert_shows(const struct rill_report *r, const char *rows)
{
    char *text = screen(r);

    if (strstr(text, rows) == NULL)
        fail_msg("not shown: %s\nin: %s", rows, text);
    free(text);
}

static void assert_hides(const struct rill_report *r, const char *what)
{
    char *text = screen(r);

    if (strstr(text, what) != NULL)
        fail_msg("shown: %s\nin: %s", what, text);
    free(text);
}

static void as_many_units_as_were_asked_for(void **state)
{
    static const struct {
        uint32_t milli;
        const char *text;
    } cases[] = {{2500, ", 2.5 units, "}, {4000, ", 4 units, "},       {1000, ", 1 unit, "},
                 {1, ", 0.001 units, "},  {63999, ", 63.999 units, "}, {0, ", 2 units, "}};
    struct rill_report r;

    (void)state;
    fill(&r);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        r.units_milli = cases[i].milli;
        assert_shows(&r, cases[i].text);
    }
    rill_report_fini(&r);
}

/* 0% is said only of units that did nothing. */
static void units_that_were_hardly_seen_at_work(void **state)
{
    struct rill_report r = {0};

    (void)state;
    assert_shows(&r, "units      at most 0 in use when counted\n");
    rill_report_add_unit(&r, &(struct rill_report_unit){1, 1525, 0});
    rill_report_add_unit(&r, &(struct rill_report_unit){2, 10, 0.0049});
    rill_report_add_unit(&r, &(struct rill_report_unit){3, 20, 0.0051});
    rill_report_add_unit(&r, &(struct rill_report_unit){4, 0, 0});
    assert_shows(&r, "           unit 1          1,525 packets, idle then\n"
                     "           unit 2             10 packets, <1% full then\n"
                     "           unit 3             20 packets, at most 1% full then\n"
                     "           unit 4              0 packets, at most 0% full then\n");
    rill_report_fini(&r);
}

static void scale_of_the_bars(void **state)
{
    struct rill_report r = {0};

    (void)state;
    rill_report_add_epoch(&r, 0, 0);
    assert_shows(&r, "100 ms a column:\n           |0|\n");
    rill_report_add_epoch(&r, 0.1, 10);
    assert_shows(&r, "100 ms a column, + = 10 or more:\n           |0+|\n");
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    assert_shows(&r, "100 ms a column, █ = 10:\n           | █|\n");
    r.units_over_time[1].units = 0;
    assert_shows(&r, "100 ms a column:\n           |  |\n");
    setlocale(LC_CTYPE, "C");
    rill_report_fini(&r);
}

static void what_was_not_compared_is_named(void **state)
{
    static const char unchecked[] =
        "35,453 released to the inside not compared: the NF does not set RILL_NF_INVERTS\n";
    char rows[256];
    struct rill_report r = {.outward_checked = 29788, .inverse_unchecked = 35453};

    (void)state;
    snprintf(rows, sizeof(rows),
             "check      29,788 released to the outside compared with the capture: all right\n"
             "           %s",
             unchecked);
    assert_shows(&r, rows);
    r.outward_mismatches = 1;
    r.first_mismatch_packet = 9;
    assert_shows(&r, "capture: 1 WRONG, the first is packet 9\n           35,453 released");
    r = (struct rill_report){.inverse_unchecked = 35453};
    snprintf(rows, sizeof(rows), "\ncheck      %s", unchecked);
    assert_shows(&r, rows);
    assert_hides(&r, "all right");
    r = (struct rill_report){.outward_checked = 7};
    assert_shows(&r, "check      0 released to the inside and 7 to the outside compared with");
    assert_hides(&r, "not compared");
}

/* Those that are 0 have no place; long lines go on in the next, but not for ever. */
static void counters_of_the_nf(void **state)
{
    struct rill_report r = {0};
    char name[32];

    (void)state;
    assert_int_equal(rill_tally_add(&r.nf_counters, "never", 0), 0);
    assert_hides(&r, "\nnf ");
    assert_int_equal(rill_tally_add(&r.nf_counters, "over_rate", 9932), 0);
    assert_shows(&r, "\nnf         9,932 over_rate\n");
    assert_int_equal(rill_tally_add(&r.nf_counters, "alerts", 10000), 0);
    assert_shows(&r, "\nnf         10,000 alerts, 9,932 over_rate\n");
    for (unsigned i = 0; i < 30; i++) {
        snprintf(name, sizeof(name), "counter_%02u", i);
        assert_int_equal(rill_tally_add(&r.nf_counters, name, 100 - i), 0);
    }
    assert_shows(
        &r,
        "nf         10,000 alerts, 9,932 over_rate, 100 counter_00, 99 counter_01, 98 counter_02,\n"
        "           97 counter_03, 96 counter_04, 95 counter_05, 94 counter_06, 93 counter_07,\n"
        "           92 counter_08, 91 counter_09, 90 counter_10, 89 counter_11, 88 counter_12,\n"
        "           87 counter_13, 86 counter_14, 85 counter_15, 84 counter_16, 83 counter_17, "
        "12 more\n"
        "books");
    rill_report_fini(&r);
}

static void objects_in_use(void **state)
{
    struct rill_report r = {0};

    (void)state;
    rill_report_add_object(&r, &(struct rill_report_object){.option = "unused"});
    assert_hides(&r, "objects");
    rill_report_add_object(&r, &(struct rill_report_object){.name = "a\x1b", .updates_refused = 1});
    rill_report_add_object(
        &r, &(struct rill_report_object){.name = "b", .version = "7", .updates_taken = 1234});
    assert_shows(&r, "objects    a?, no version; updates: 0 taken, 1 refused\n"
                     "           b, version 7; updates: 1,234 taken, 0 refused\n");
    rill_report_fini(&r);
}

/* However many units, drops and epochs: one screen. */
static void stays_on_one_screen(void **state)
{
    struct rill_report r;
    char *text, name[32];
    size_t lines = 0;

    (void)state;
    fill(&r);
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "reason_%u", i);
        rill_tally_add(&r.packets_dropped, name, 1);
        rill_tally_add(&r.nf_counters, name, 1);
        rill_report_add_epoch(&r, i, i);
        rill_report_add_unit(&r, &(struct rill_report_unit){i, 1, 1.0});
        rill_report_add_failure(&r, &(struct rill_report_failure){.role = "unit:1"});
    }
    text = screen(&r);
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    assert_in_range(strcspn(strchr(text, '|') + 1, "|"), 50, 60);
    assert_in_range(lines, 20, 45);
    assert_non_null(
        strstr(text, "           995 more           995 packets, at most 100% full then\n"));
    assert_non_null(strstr(text, "                    994 for 994 more reasons\n"));
    assert_non_null(strstr(text, "           994 more\n"));
    free(text);
    rill_report_fini(&r);
}

static void empty_report_prints(void **state)
{
    struct rill_report r = {0};
    char *text = screen(&r);

    (void)state;
    assert_non_null(strstr(text, "books      balance: 0 in"));
    free(text);
    rill_report_fini(&r);
}

static void names_do_not_disturb_the_terminal(void **state)
{
    struct rill_report r = {0};
    char *text;

    (void)state;
    rill_report_text(&r.trace, "a\x1b[2J\nb\xff\xc2\x9b"
                               "c-ü");
    text = screen(&r);
    assert_non_null(strstr(text, "rill " RILL_VERSION ": a?[2J?b??c-ü through "));
    free(text);
    rill_report_fini(&r);
}

static const struct rill_option schema[] = {
    {.name = "flowlet_bytes",
     .type = RILL_OPT_U64,
     .unit = "bytes",
     .min = 1,
     .max = 1e6,
     .def = "15000",
     .doc = "x"},
    {.name = "alpha", .type = RILL_OPT_DOUBLE, .unit = "", .max = 1, .def = "0.25", .doc = "x"},
    {.name = "quick", .type = RILL_OPT_BOOL, .unit = "", .def = "true", .doc = "x"},
    {.name = "label", .type = RILL_OPT_STRING, .unit = "", .def = "12", .doc = "x"},
    {.name = NULL},
};

#define GOLDEN_JSON                                                                                \
    "{\"packets_in\":1234567,\"bytes_in\":987654321,\"packets_released\":1234500,"                 \
    "\"bytes_released\":987650000,\"packets_dropped\":{\"malformed_short_ip\":17,"                 \
    "\"never_seen\":0,\"unsolicited\":50},\"packets_in_flight\":0,\"packets_turned\":7,"           \
    "\"packets_reordered\":0,"                                                                     \
    "\"inside_packets\":600000,\"outside_packets\":634567,\"replies_unmapped\":50,"                \
    "\"inverse_checked\":634500,\"inverse_mismatches\":0,\"inverse_unchecked\":0,\"outward_"       \
    "checked\":600000,"                                                                            \
    "\"outward_mismatches\":0,\"first_mismatch_packet\":0,\"mappings_changed\":0,\"flows\":4321,"  \
    "\"flowlets\":99999,"                                                                          \
    "\"flowlets_moved\":1000,\"flowlets_seamless\":788,\"flowlets_stalled\":212,"                  \
    "\"moves_by_gap\":800,\"moves_by_size\":200,\"seamless_by_gap\":780,"                          \
    "\"moves_by_period\":0,\"recoveries\":4,"                                                      \
    "\"state_pushes\":7000,\"state_pulls\":3,\"overloads\":0,"                                     \
    "\"failures\":[{\"role\":\"unit:2\",\"id\":2,\"at_s\":0.25,\"detected_after_ns\":0,"           \
    "\"recovered_after_ns\":3032000,\"flows_recovered\":4,\"packets_lost\":7,"                     \
    "\"state_from\":{\"replica\":3,\"output_logger\":1}},"                                         \
    "{\"role\":\"output-logger:1\",\"id\":7,\"at_s\":0.375,\"detected_after_ns\":5,"               \
    "\"recovered_after_ns\":-1,\"flows_recovered\":0,\"packets_lost\":0,"                          \
    "\"state_from\":{\"replica\":0,\"output_logger\":0}}],"                                        \
    "\"controllers\":[{\"id\":1,\"slot\":0,\"died\":false,\"packets_in\":900,\"bytes_in\":90000,"  \
    "\"packets_to_units\":850,\"packets_passed\":20,\"packets_dropped\":29,"                       \
    "\"packets_in_flight\":1,\"flows\":7,\"flowlets\":70,\"flowlets_moved\":5}],"                  \
    "\"units_active_max\":4,"                                                                      \
    "\"units\":[{\"id\":1,\"packets\":700000,\"utilization_max\":0.875},"                          \
    "{\"id\":2,\"packets\":699999,\"utilization_max\":0.375}],"                                    \
    "\"units_over_time\":[{\"at_s\":0,\"units\":0},{\"at_s\":0.1,\"units\":1},"                    \
    "{\"at_s\":0.2,\"units\":2},{\"at_s\":0.3,\"units\":3},{\"at_s\":0.4,\"units\":5}],"           \
    "\"objects\":[{\"option\":\"rules\",\"name\":\"rules.txt\",\"version\":\"12ab\","              \
    "\"updates_taken\":3,\"updates_refused\":1,\"lines_skipped\":2,\"error\":\"rules.txt:7: "      \
    "bad\"}],"                                                                                     \
    "\"latency_ns\":{\"p50\":50,\"p75\":75,\"p90\":90,\"p99\":99,\"p999\":100,\"max\":100},"       \
    "\"counters\":{\"unit.late_or_duplicate\":2},\"nf_counters\":{\"mappings\":4321},"             \
    "\"replay_s\":0.5,\"interrupted\":false,\"mode\":\"flowlet\",\"state_mode\":\"proactive\","    \
    "\"clock\":\"virtual\",\"nf\":\"nat\",\"trace\":\"q\\\"b\\\\n\\nt\\te\\u0001x\ufffdü\","      \
    "\"capture\":\"build/"                                                                         \
    "out.pcapng\",\"cluster\":null,\"deployment\":null,\"failure\":null,\"settings\":{\"flowlet_"  \
    "bytes\":15000,"                                                                               \
    "\"alpha\":0.25,"                                                                              \
    "\"quick\":true,\"label\":\"12\"},\"version\":\"" RILL_VERSION "\"}\n"

/* Read back by another program's parser, which writes it compactly: field for field. */
static void json_read_back(void **state)
{
    char path[] = "/tmp/rill-report-XXXXXX", command[128], text[8192];
    struct rill_config *settings;
    struct rill_error err;
    struct rill_report r;
    size_t bytes;
    FILE *pipe;

    (void)state;
    if (system("python3 -c '' 2>/dev/null") != 0)
        skip();
    fill(&r);
    rill_report_text(&r.trace, "q\"b\\n\nt\te\x01x\xc0ü");
    settings = rill_config_create(schema, &err);
    assert_non_null(settings);
    assert_int_equal(rill_report_settings(&r, settings), 0);
    rill_config_destroy(settings);
    close(mkstemp(path));
    assert_int_equal(rill_report_write_json(&r, path, &err), 0);
    snprintf(command, sizeof(command),
             "PYTHONIOENCODING=utf-8 python3 -m json.tool --compact --no-ensure-ascii %s", path);
    pipe = popen(command, "r");
    bytes = fread(text, 1, sizeof(text) - 1, pipe);
    text[bytes] = '\0';
    assert_int_equal(pclose(pipe), 0);
    unlink(path);
    assert_string_equal(text, GOLDEN_JSON);
    rill_report_fini(&r);
}

static void json_that_can_not_be_written(void **state)
{
    struct rill_error err = {""};
    struct rill_report r = {0};

    (void)state;
    assert_int_equal(rill_report_write_json(&r, "/nowhere/at/all.json", &err), -EIO);
    assert_string_equal(err.text, "/nowhere/at/all.json: can't be written: No such file or "
                                  "directory; give --json another path");
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(rill_report_write_json(&r, "/dev/full", &err), -EIO);
        assert_string_equal(err.text, "/dev/full: the report was not written whole: No space left "
                                      "on device");
    }
}

static void tally_is_sorted_and_sums(void **state)
{
    static const char *const names[] = {"m", "a", "z", "b", "m", "", "zz", "a"};
    struct rill_tally tally = {0};
    char name[16];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(rill_tally_add(&tally, names[i], i), 0);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "n%u", i * 37 % 100);
        assert_int_equal(rill_tally_add(&tally, name, 1), 0);
    }
    assert_int_equal(tally.count, 106);
    for (size_t i = 1; i < tally.count; i++)
        assert_true(strcmp(tally.entries[i - 1].name, tally.entries[i].name) < 0);
    assert_int_equal(rill_tally_get(&tally, "m"), 4);
    assert_int_equal(rill_tally_get(&tally, "a"), 8);
    assert_int_equal(rill_tally_get(&tally, "absent"), 0);
    assert_int_equal(rill_tally_total(&tally), 28 + 100);
    rill_tally_fini(&tally);
    assert_int_equal(tally.count, 0);
    rill_tally_fini(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_screen),
        cmocka_unit_test(books_that_do_not_balance),
        cmocka_unit_test(wrong_packets_are_named),
        cmocka_unit_test(connections_that_change_their_mapping),
        cmocka_unit_test(as_many_units_as_were_asked_for),
        cmocka_unit_test(units_that_were_hardly_seen_at_work),
        cmocka_unit_test(scale_of_the_bars),
        cmocka_unit_test(what_was_not_compared_is_named),
        cmocka_unit_test(counters_of_the_nf),
        cmocka_unit_test(objects_in_use),
        cmocka_unit_test(stays_on_one_screen),
        cmocka_unit_test(empty_report_prints),
        cmocka_unit_test(names_do_not_disturb_the_terminal),
        cmocka_unit_test(json_read_back),
        cmocka_unit_test(json_that_can_not_be_written),
        cmocka_unit_test(tally_is_sorted_and_sums),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
