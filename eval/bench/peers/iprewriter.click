// Click's NAT: a rewriter with its own table, eight public addresses.
// From the capture in memory (port 0) to nowhere (port 1), on one core. CHECK: what the runner compares with the flows.
define($MBUFS 400000, $ROOM 384, $CAPACITY 1048576, $WARM 2s, $TIME 3s)

DPDKInfo($MBUFS, MBUF_SIZE $ROOM)

addresses :: RoundRobinIPMapper(
    198.51.100.1 1024-65535# - - 0 0, 198.51.100.2 1024-65535# - - 0 0,
    198.51.100.3 1024-65535# - - 0 0, 198.51.100.4 1024-65535# - - 0 0,
    198.51.100.5 1024-65535# - - 0 0, 198.51.100.6 1024-65535# - - 0 0,
    198.51.100.7 1024-65535# - - 0 0, 198.51.100.8 1024-65535# - - 0 0)

FromDPDKDevice(0, N_QUEUES 1)
    -> MarkIPHeader(14)
    -> rewriter :: IPRewriter(addresses, CAPACITY $CAPACITY)
    -> counter :: AverageCounter
    -> ToDPDKDevice(1, N_QUEUES 1, BLOCKING true)

DriverManager(wait $WARM, write counter.reset, wait $TIME, print "RATE $(counter.rate)",
    print "CHECK flows $(rewriter.table_size) failures $(rewriter.mapping_failures)", stop)
