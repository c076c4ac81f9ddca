// The NAT with a flow's state in its flow control block. It has one public address, so at most 64,000 flows at a time.
// From the capture in memory (port 0) to nowhere (port 1), on one core. CHECK: what the runner compares with the flows.
define($MBUFS 400000, $ROOM 384, $CAPACITY 1048576, $WARM 2s, $TIME 3s)

DPDKInfo($MBUFS, MBUF_SIZE $ROOM)

FromDPDKDevice(0, N_QUEUES 1)
    -> MarkIPHeader(14)
    -> manager :: FlowIPManager(CAPACITY $CAPACITY)
    -> FlowIPNAT(SIP 198.51.100.1)
    -> counter :: AverageCounter
    -> ToDPDKDevice(1, N_QUEUES 1, BLOCKING true)

DriverManager(wait $WARM, write counter.reset, wait $TIME, print "RATE $(counter.rate)",
    print "CHECK flows $(manager.count)", stop)
