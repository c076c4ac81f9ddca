/* What access lists in the syntax of Cisco's IOS are refused for, and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nfs/nf_testing.h"

#define E(text) "access-list 101 " text "\n"
#define ALL E("permit ip any any")

static const char *const ios[] = {"rules=r.txt", "format=ios", NULL};

struct bad {
    const char *text, *part;
};

static void refuse_all(const char *const *settings, const struct bad *rows, size_t n)
{
    struct nf_bench b;

    nf_open(&b, "firewall", settings);
    for (size_t i = 0; i < n; i++) {
        const char *error = nf_object_error(&b, "rules", rows[i].text);

        if (strstr(error, rows[i].part) == NULL)
            fail_msg("%s: no '%s' in: %s", rows[i].text, rows[i].part, error);
    }
    nf_close(&b);
}

static void test_bad_entries(void **unused)
{
    static const struct bad rows[] = {
        {ALL E("allow ip any any"), "r.txt:2: 'allow' is no entry"},
        {E(""), "r.txt:1: '' is no entry"},
        {E("permit"), "protocol ''"},
        {E("permit 0 any any"), "protocol '0': give ip"},
        {E("permit 256 any any"), "protocol '256'"},
        {E("permit frob any any"), "protocol 'frob'"},
        {E("permit ip"), "source ''"},
        {E("permit ip any"), "destination ''"},
        {E("permit ip 10.0.0.0 any"), "source 'any'"},
        {E("permit ip 10.0.0.0/8 any"), "source '10.0.0.0/8'"},
        {E("permit ip host any"), "source 'any'"},
        {E("permit ip any host 10.0.0.256"), "destination '10.0.0.256'"},
        {E("permit ip any object-group servers"), "destination 'object-group'"},
        {E("permit ip any any eq 80"), "'eq': ports are for tcp and udp"},
        {E("permit icmp any any range 1 2"), "'range': ports are for tcp and udp"},
        {E("permit tcp any any eq"), "port ''"},
        {E("permit tcp any any eq 65536"), "port '65536'"},
        {E("permit tcp any any eq snmp"), "port 'snmp'"}, /* UDP's */
        {E("permit udp any any eq www"), "port 'www'"},
        {E("permit tcp any any eq 1 2 3 4 5 6 7 8 9 10 11"), "port '11'"},
        {E("permit tcp any any gt 65535"), "no port is in that range"},
        {E("permit tcp any any lt 0"), "no port is in that range"},
        {E("permit tcp any any range 81 80"), "no port is in that range"},
        {E("permit tcp any any range 81"), "port ''"},
        {E("permit tcp any any gt x"), "port 'x'"},
        {E("permit udp any any established"), "'established': is for tcp"},
        {E("permit ip any any syn"), "'syn': is for tcp"},
        {E("permit tcp any any syn ack"), "'ack': flags are there already"},
        {E("permit tcp any any match-all"), "'': give flags"},
        {E("permit tcp any any match-all +syn -syn"), "'-syn': give each"},
        {E("permit tcp any any match-any +ece"), "'+ece': give each"},
        {E("permit tcp any any eq 80 81 estab"), "'estab' is not understood"},
        {E("permit ip any any log cookie"), "'cookie' is not understood"},
        {E("permit icmp any any ecko"), "'ecko' is not understood"},
        {E("permit icmp any any 256"), "'256' is not understood"},
        {E("permit icmp any any 3 256"), "'256' is not understood"},
        {E("permit icmp any any echo 0"), "an ICMP message is there already"},
        {E("permit icmp any any echo echo-reply"), "an ICMP message is there already"},
        {E("permit udp any any echo"), "'echo' is not understood"},
        {E("permit ip any any 8"), "'8' is not understood"},
        {"access-list 1 permit", "source ''"},
        {"access-list 1 permit tcp any any", "source 'tcp'"},
        {"access-list 1 permit any established", "'established' is not understood"},
        {"access-list 1 permit 10.0.0.0 0.0.0.255 10.0.0.0", "'10.0.0.0' is not understood"},
        /* one deny less would let in more */
        {ALL E("deny icmp any any redirect tos 3"), "r.txt:2: denies by tos"},
        {E("deny ip any any fragments") ALL, "r.txt:1: denies by fragments"},
        {E("deny ip any any time-range night") ALL, "denies by time-range"},
    };

    (void)unused;
    refuse_all(ios, rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_bad_lists(void **unused)
{
    static const struct bad rows[] = {
        {"", "r.txt: holds no access list"},
        {"interface x\n ip access-group 101 in\n", "holds no access list"},
        {"access-list 1 permit any\n" ALL, "which is meant: 1, 101"},
        {"hostname x\n" ALL, "r.txt:1: 'hostname' begins no line"},
        {"acces-list 101 deny ip any any\n" ALL, "r.txt:1: 'acces-list' begins no line"},
        {"permit ip any any\n", "'permit' begins no line"},
        {"interface x\npermit ip any any\n", "'permit' begins no line"},
        {ALL " permit ip any any\n", "r.txt:2: 'permit' begins no line"},
        {"access-list", "'' is no IP access list's number"},
        {"access-list 0 permit any", "'0' is no IP access list's number"},
        {"access-list 700 permit any", "'700' is no IP"},
        {"access-list x permit any", "'x' is no IP"},
        {"ip access-list x\n", "'x' is no kind of list"},
        {"ip access-list extended\n", "'' is not understood"},
        {"ip access-list extended x y\n", "'y' is not understood"},
        {"ip access-list standard 101\n", "'101' is not that kind"},
        {"ip access-list extended 1\n", "'1' is not that kind"},
        {"ip access-list extended 700\n", "'700' is not that kind"},
        {"ip access-list extended x\nip access-list standard x\n", "r.txt:2: 'x' is both"},
        {"ip access-list extended "
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
         "too long"},
        {"ip access-list extended x\n remark nothing\n", "access list x has no entry"},
        {"ip access-list extended x\n 0 permit ip any any\n", "'0' is no number of an entry"},
        {"ip access-list extended x\n 9999999999 permit ip any any\n", "is no number of an entry"},
        {"ip access-list extended x\n 999999999 permit ip any any\n deny ip any any",
         "needs a lower number"},
        {"ip access-list extended x\n 7 deny tcp any any\n permit ip any any\n 7 deny ip any any\n",
         "r.txt:4: has the number 7, as line 2 has"},
        {"ip access-list extended x\n no permit ip any any\n", "'no' is no entry"},
        {"ip access-list extended x\n evaluate y\n", "'evaluate' is no entry"},
    };
    char text[8000] = "";
    struct bad many = {text, "..."};

    (void)unused;
    refuse_all(ios, rows, sizeof(rows) / sizeof(rows[0]));
    for (int i = 100; i < 200; i++)
        sprintf(text + strlen(text), "access-list %d permit ip any any\n", i);
    refuse_all(ios, &many, 1);
}

static void test_bad_choices(void **unused)
{
    static const struct bad one[] = {
        {"access-list 101 permit ip any any\nip access-list extended Web\n permit ip any any",
         "r.txt: holds no access list 'web'; there are: 101, Web"}};
    static const struct bad two[] = {{"ip access-list extended in\n permit ip any any",
                                      "holds no access list 'out'; there are: in"}};

    (void)unused;
    refuse_all((const char *const[]){"rules=r.txt", "format=ios", "access_list=web", NULL}, one, 1);
    refuse_all((const char *const[]){"rules=r.txt", "format=ios", "access_list_inbound=in",
                                     "access_list_outbound=out", NULL},
               two, 1);
    assert_non_null(
        strstr(nf_open_error("firewall", (const char *const[]){"rules=r", "access_list=1", NULL}),
               "access_list: is for format: ios"));
    assert_non_null(
        strstr(nf_open_error("firewall", (const char *const[]){"access_list_inbound=1", NULL}),
               "access_list_inbound, access_list_outbound: is for format: ios"));
    assert_non_null(
        strstr(nf_open_error("firewall", (const char *const[]){"format=ios", "access_list=1",
                                                               "access_list_outbound=1", NULL}),
               "access_list: is for both directions"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_entries),
        cmocka_unit_test(test_bad_lists),
        cmocka_unit_test(test_bad_choices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
