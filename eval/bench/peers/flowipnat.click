// The NAT with a flow's state in its flow control block. It has one public address, so at most 64,000 flows at a time.
// From the capture in memory (port 0) to nowhere (port 1), on one core.
define($MBUFS 400000, $CAPACITY 1048576, $WARM 2s, $TIME 3s)

DPDKInfo($MBUFS)

FromDPDKDevice(0, N_QUEUES 1)
    -> MarkIPHeader(14)
    -> FlowIPManager(CAPACITY $CAPACITY)
    -> FlowIPNAT(SIP 198.51.100.1)
    -> counter :: AverageCounter
    -> ToDPDKDevice(1, N_QUEUES 1, BLOCKING true)

DriverManager(wait $WARM, write counter.reset, wait $TIME, print "RATE $(counter.rate)", stop)
