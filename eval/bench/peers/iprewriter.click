// Click's NAT: a rewriter with its own table, eight public addresses.
// From the capture in memory (port 0) to nowhere (port 1), on one core.
define($MBUFS 400000, $CAPACITY 1048576, $WARM 2s, $TIME 3s)

DPDKInfo($MBUFS)

FromDPDKDevice(0, N_QUEUES 1)
    -> MarkIPHeader(14)
    -> IPRewriter(pattern 198.51.100.1-198.51.100.8 1024-65535 - - 0 0)
    -> counter :: AverageCounter
    -> ToDPDKDevice(1, N_QUEUES 1, BLOCKING true)

DriverManager(wait $WARM, write counter.reset, wait $TIME, print "RATE $(counter.rate)", stop)
