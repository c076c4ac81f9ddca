#include "lib/config/settings.h"

#define TWO_POW_64 18446744073709551616.0

#define U64(name_, unit_, min_, max_, def_, doc_)                                                  \
    {                                                                                              \
        .name = name_, .type = RILL_OPT_U64, .unit = unit_, .min = min_, .max = max_, .def = def_, \
        .doc = doc_                                                                                \
    }
#define DOUBLE(name_, unit_, min_, max_, def_, doc_)                                               \
    {                                                                                              \
        .name = name_, .type = RILL_OPT_DOUBLE, .unit = unit_, .min = min_, .max = max_,           \
        .def = def_, .doc = doc_                                                                   \
    }
#define ENUM(name_, choices_, def_, doc_)                                                          \
    {                                                                                              \
        .name = name_, .type = RILL_OPT_ENUM, .unit = "", .choices = choices_, .def = def_,        \
        .doc = doc_                                                                                \
    }

/* The choices of an ENUM stand in the order of its enum in settings.h. */
const struct rill_option rill_settings_schema[] = {
    U64("flowlet_timeout_us", "us", 1, 1000000, "500",
        "A flow's pause after which its next packet begins a new flowlet."),
    U64("flowlet_bytes", "bytes", 64, 1000000000, "15000",
        "Size that a flowlet does not grow beyond; the packet that would begins a new one."),
    {.name = "mode",
     .type = RILL_OPT_ENUM,
     .unit = "",
     .min = 1,
     .max = 60000,
     .choices = "flowlet|flow|smart-flow:<N>ms",
     .def = "flowlet",
     .doc = "What is assigned to a unit: each flowlet, a flow for its life, or a flow anew every N "
            "ms."},
    ENUM("detection", "timeout+size|timeout", "timeout+size",
         "What ends a flowlet: a pause or its size, or a pause alone (flowlet_bytes is not used)."),
    ENUM("state", "proactive|reactive|external", "proactive",
         "How state moves: ahead to replicas, once a flow has moved, or through a store outside."),
    DOUBLE("external_rtt_us", "us", 0, 1000000, "100",
           "Round trip to that store, under the virtual clock; at least twice link_delay_us."),
    {.name = "external_store",
     .type = RILL_OPT_STRING,
     .unit = "",
     .def = "",
     .doc = "That store, under the real clock: Redis at unix:/PATH or ADDRESS:PORT; empty: "
            "127.0.0.1:6379."},
    U64("replicas", "", 0, 7, "3", "Units that a flow's state is pushed to ahead of need."),
    ENUM("replica_choice", "weighted|deterministic|predicted", "weighted",
         "How replicas are chosen: at random, low ids more often; lowest ids; where it would go "
         "next."),
    ENUM("placement", "pack|spread|first-fit", "pack",
         "Which unit gets a flowlet: the fullest with room, the least loaded, or the first with "
         "room."),
    U64("units_min", "units", 0, 64, "0",
        "Units that are leased from the start and never given back; if independent, of each "
        "controller."),
    U64("units_reserve", "units", 0, 64, "0",
        "Leased ahead of need by each controller: they take packets at once when they are needed."),
    ENUM("controllers", "leased|independent", "leased",
         "Several controllers share units by leases of parts, or each has whole units of its own."),
    U64("lease_step", "thousandths", 1, 1000, "250",
        "Part of a unit that one of several controllers asks for at a time (leased)."),
    DOUBLE("alpha", "", 0, 1, "0.25",
           "Bonus in utilization for a unit that holds the flow's state, when packing."),
    DOUBLE("ewma_weight", "", 0, 1, "0.5",
           "Weight of a flow's newest flowlet in the estimate of its next one's load."),
    DOUBLE("unit_capacity_mbps", "Mbps", 0.001, 400000, "1000",
           "Traffic that one compute unit takes; it shapes itself to that."),
    U64("unit_backlog_us", "us", 0, 10000000, "100",
        "Work that may wait at a unit before flowlets go elsewhere; 0: any amount."),
    U64("lease_backlog_us", "us", 0, 10000000, "800",
        "Work that may wait at every unit with room before another one is leased for it."),
    U64("unit_queue_packets", "packets", 1, 10000000, "4096",
        "Longest queue at a unit, of each controller; packets beyond it are dropped "
        "(unit_queue_full)."),
    U64("stash_packets_per_flow", "packets", 1, 1000000, "1024",
        "Packets of one flow that a unit holds while the flow's state is on its way."),
    U64("stash_packets_per_unit", "packets", 1, 10000000, "65536",
        "The same, of all flows of a unit together."),
    U64("replica_kb_per_unit", "KB", 0, 1000000000, "262144",
        "Memory at a unit for copies of flows that are elsewhere; the oldest copy gives way."),
    U64("held_packets_per_output_logger", "packets", 1, 10000000, "65536",
        "Packets that an output logger holds until the change before theirs has come."),
    DOUBLE("link_delay_us", "us", 0, 1000000, "5",
           "One way between any two roles, under the virtual clock."),
    U64("pull_timeout_us", "us", 10, 10000000, "1000",
        "Wait for a flow's state after which the new owner asks for it."),
    U64("retry_us", "us", 10, 10000000, "2000",
        "Pause before an unanswered question is sent again; doubles, up to 8 times."),
    U64("resend_attempts", "", 1, 1000, "64",
        "Times that a question is asked before it is asked only once per resend_slow_ms."),
    U64("resend_slow_ms", "ms", 1, 60000, "500",
        "Pause between askings of a question that had resend_attempts without an answer."),
    U64("frame_life_ms", "ms", 1, 60000, "250",
        "The longest that a frame can be under way; state is forgotten only later."),
    U64("state_keep_ms", "ms", 1, 86400000, "10000",
        "Age at which a copy that nobody used may be forgotten; at least frame_life_ms."),
    DOUBLE("flow_idle_s", "s", 0.001, 86400, "7440",
           "The most that any flow lives without a packet; what follows is cut to it."),
    DOUBLE("flow_idle_tcp_s", "s", 0.001, 86400, "7440",
           "An established TCP connection without packets for so long has ended (RFC 5382)."),
    DOUBLE("flow_idle_tcp_transitory_s", "s", 0.001, 86400, "240",
           "The same where TCP's two sides have not both answered yet (RFC 5382, RFC 7857)."),
    DOUBLE("flow_closed_s", "s", 0.001, 86400, "240",
           "The same after both FINs, or RST; at least frame_life_ms (RFC 5382, RFC 7857)."),
    DOUBLE("flow_idle_udp_s", "s", 0.001, 86400, "300", "The same of a UDP flow (RFC 4787)."),
    DOUBLE("flow_idle_icmp_s", "s", 0.001, 86400, "60",
           "The same of an ICMP query, such as echo (RFC 5508)."),
    DOUBLE("flow_idle_other_s", "s", 0.001, 86400, "120",
           "The same of hosts, and of flows of other protocols."),
    U64("flows_max", "flows", 1, 100000000, "1000000",
        "Flows that one controller keeps at a time; the one idle for longest gives way."),
    U64("pool_block", "endpoints", 1, 4096, "64",
        "Endpoints of a pool (a NAT's ports, say) that a unit leases at a time."),
    U64("pool_quarantine_ms", "ms", 0, 3600000, "1000",
        "Rest of an endpoint between the end of its flow and its next use."),
    U64("idle_unit_ms", "ms", 1, 3600000, "10",
        "A unit that is not needed, and without traffic for so long, is given back."),
    U64("idle_last_unit_ms", "ms", 1, 3600000, "1000", "The same for the last one."),
    U64("waiting_packets_per_controller", "packets", 1, 10000000, "65536",
        "Packets that a controller holds while no unit is leased; those beyond are dropped."),
    U64("waiting_ms", "ms", 1, 60000, "1000",
        "Longest that such a packet waits for a unit; then it is dropped (no_unit)."),
    U64("lease_ms", "ms", 100, 3600000, "1000",
        "How long a lease of a unit's capacity runs unless it is renewed."),
    U64("epoch_ms", "ms", 1, 10000, "100", "Between two lease requests of a controller."),
    U64("usage_interval_ms", "ms", 10, 3600000, "1000",
        "Length of the intervals of usage records."),
    U64("log_lines_per_s", "lines", 1, 1000000, "100",
        "Log lines of a program of the deployment; those beyond are counted, not written."),
    U64("merge_ms", "ms", 1, 3600000, "1000", "Between two merges of the sums that flows share."),
    U64("records_mb", "MB", 1, 1000000, "64",
        "Size of a unit's file of records, in a cluster; those beyond are counted, not written."),
    {.name = "config_store",
     .type = RILL_OPT_STRING,
     .unit = "",
     .def = "",
     .doc = "NFs' objects: a folder, redis://HOST:PORT[/PREFIX], redis+unix:/PATH[:PREFIX]; empty: "
            "by the NF's file."},
    U64("config_poll_ms", "ms", 10, 3600000, "500",
        "Between two looks for new versions of objects, where time is real."),
    ENUM("unhandled", "nf|pass|drop", "nf",
         "Packets that the NF does not handle: as the NF says, pass by, or drop."),
    U64("seed", "", 0, TWO_POW_64, "1",
        "From which all that is random is drawn; the same seed gives the same run."),
    {.name = NULL},
};
