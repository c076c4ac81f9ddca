#include "fw_ios_names.h"

#include <stddef.h>
#include <strings.h>

#include <rill/nf.h>

#include "fw_text.h"

struct named {
    const char *name;
    uint16_t number;
};

static const struct named protocols[] = {
    {"ahp", 51},         {"eigrp", 88},     {"esp", 50},       {"gre", 47},
    {"icmp", RILL_ICMP}, {"igmp", 2},       {"ipinip", 4},     {"nos", 94},
    {"ospf", 89},        {"pcp", 108},      {"pim", 103},      {"sctp", 132},
    {"tcp", RILL_TCP},   {"udp", RILL_UDP}, {"ip", FW_IOS_IP}, {NULL, 0},
};

static const struct named tcp_ports[] = {
    {"bgp", 179},         {"chargen", 19},   {"cmd", 514},          {"daytime", 13},
    {"discard", 9},       {"domain", 53},    {"drip", 3949},        {"echo", 7},
    {"exec", 512},        {"finger", 79},    {"ftp", 21},           {"ftp-data", 20},
    {"gopher", 70},       {"hostname", 101}, {"ident", 113},        {"irc", 194},
    {"klogin", 543},      {"kshell", 544},   {"login", 513},        {"lpd", 515},
    {"msrpc", 135},       {"nntp", 119},     {"onep-plain", 15001}, {"onep-tls", 15002},
    {"pim-auto-rp", 496}, {"pop2", 109},     {"pop3", 110},         {"smtp", 25},
    {"sunrpc", 111},      {"syslog", 514},   {"tacacs", 49},        {"talk", 517},
    {"telnet", 23},       {"time", 37},      {"uucp", 540},         {"whois", 43},
    {"www", 80},          {NULL, 0},
};

static const struct named udp_ports[] = {
    {"biff", 512},
    {"bootpc", 68},
    {"bootps", 67},
    {"discard", 9},
    {"dnsix", 195},
    {"domain", 53},
    {"echo", 7},
    {"isakmp", 500},
    {"mobile-ip", 434},
    {"nameserver", 42},
    {"netbios-dgm", 138},
    {"netbios-ns", 137},
    {"netbios-ss", 139},
    {"non500-isakmp", 4500},
    {"ntp", 123},
    {"pim-auto-rp", 496},
    {"rip", 520},
    {"ripv6", 521},
    {"snmp", 161},
    {"snmptrap", 162},
    {"sunrpc", 111},
    {"syslog", 514},
    {"tacacs", 49},
    {"talk", 517},
    {"tftp", 69},
    {"time", 37},
    {"who", 513},
    {"xdmcp", 177},
    {NULL, 0},
};

static const struct {
    const char *name;
    struct fw_icmp_message message;
} icmp_messages[] = {
    {"administratively-prohibited", {3, 13}},
    {"alternate-address", {6, FW_ICMP_ANY}},
    {"conversion-error", {31, FW_ICMP_ANY}},
    {"dod-host-prohibited", {3, 10}},
    {"dod-net-prohibited", {3, 9}},
    {"echo", {8, FW_ICMP_ANY}},
    {"echo-reply", {0, FW_ICMP_ANY}},
    {"general-parameter-problem", {12, 0}},
    {"host-isolated", {3, 8}},
    {"host-precedence-unreachable", {3, 14}},
    {"host-redirect", {5, 1}},
    {"host-tos-redirect", {5, 3}},
    {"host-tos-unreachable", {3, 12}},
    {"host-unknown", {3, 7}},
    {"host-unreachable", {3, 1}},
    {"information-reply", {16, FW_ICMP_ANY}},
    {"information-request", {15, FW_ICMP_ANY}},
    {"mask-reply", {18, FW_ICMP_ANY}},
    {"mask-request", {17, FW_ICMP_ANY}},
    {"mobile-redirect", {32, FW_ICMP_ANY}},
    {"net-redirect", {5, 0}},
    {"net-tos-redirect", {5, 2}},
    {"net-tos-unreachable", {3, 11}},
    {"net-unreachable", {3, 0}},
    {"network-unknown", {3, 6}},
    {"no-room-for-option", {12, 2}},
    {"option-missing", {12, 1}},
    {"packet-too-big", {3, 4}},
    {"parameter-problem", {12, FW_ICMP_ANY}},
    {"port-unreachable", {3, 3}},
    {"precedence-unreachable", {3, 15}},
    {"protocol-unreachable", {3, 2}},
    {"reassembly-timeout", {11, 1}},
    {"redirect", {5, FW_ICMP_ANY}},
    {"router-advertisement", {9, FW_ICMP_ANY}},
    {"router-solicitation", {10, FW_ICMP_ANY}},
    {"source-quench", {4, FW_ICMP_ANY}},
    {"source-route-failed", {3, 5}},
    {"time-exceeded", {11, FW_ICMP_ANY}},
    {"timestamp-reply", {14, FW_ICMP_ANY}},
    {"timestamp-request", {13, FW_ICMP_ANY}},
    {"traceroute", {30, FW_ICMP_ANY}},
    {"ttl-exceeded", {11, 0}},
    {"unreachable", {3, FW_ICMP_ANY}},
};

static int find(const struct named *list, const char *word)
{
    for (; list->name != NULL; list++)
        if (strcasecmp(list->name, word) == 0)
            return list->number;
    return -1;
}

int fw_ios_protocol(const char *word)
{
    unsigned long number;

    return fw_number_read(word, 255, &number) ? (int)number : find(protocols, word);
}

int fw_ios_port(uint8_t proto, const char *word)
{
    unsigned long number;

    if (fw_number_read(word, 65535, &number))
        return (int)number;
    return find(proto == RILL_TCP ? tcp_ports : udp_ports, word);
}

bool fw_ios_icmp_message(const char *word, struct fw_icmp_message *message)
{
    for (unsigned i = 0; i < sizeof(icmp_messages) / sizeof(icmp_messages[0]); i++)
        if (strcasecmp(icmp_messages[i].name, word) == 0) {
            *message = icmp_messages[i].message;
            return true;
        }
    return false;
}
