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

static const char *const icmp_messages[] = {
    "administratively-prohibited",
    "alternate-address",
    "conversion-error",
    "dod-host-prohibited",
    "dod-net-prohibited",
    "echo",
    "echo-reply",
    "general-parameter-problem",
    "host-isolated",
    "host-precedence-unreachable",
    "host-redirect",
    "host-tos-redirect",
    "host-tos-unreachable",
    "host-unknown",
    "host-unreachable",
    "information-reply",
    "information-request",
    "mask-reply",
    "mask-request",
    "mobile-redirect",
    "net-redirect",
    "net-tos-redirect",
    "net-tos-unreachable",
    "net-unreachable",
    "network-unknown",
    "no-room-for-option",
    "option-missing",
    "packet-too-big",
    "parameter-problem",
    "port-unreachable",
    "precedence-unreachable",
    "protocol-unreachable",
    "reassembly-timeout",
    "redirect",
    "router-advertisement",
    "router-solicitation",
    "source-quench",
    "source-route-failed",
    "time-exceeded",
    "timestamp-reply",
    "timestamp-request",
    "traceroute",
    "ttl-exceeded",
    "unreachable",
    NULL,
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

bool fw_ios_is_icmp_message(const char *word)
{
    unsigned long number;

    for (unsigned i = 0; icmp_messages[i] != NULL; i++)
        if (strcasecmp(icmp_messages[i], word) == 0)
            return true;
    return fw_number_read(word, 255, &number);
}
