// A balancer over eight servers: by hash for a new flow, then by what the flow keeps.
// From the capture in memory (port 0) to nowhere (port 1), on one core. CHECK: what the runner compares with the flows.
define($MBUFS 400000, $ROOM 384, $CAPACITY 1048576, $WARM 2s, $TIME 3s)

DPDKInfo($MBUFS, MBUF_SIZE $ROOM)

FromDPDKDevice(0, N_QUEUES 1)
    -> MarkIPHeader(14)
    -> manager :: FlowIPManager(CAPACITY $CAPACITY)
    -> FlowIPLoadBalancer(VIP 203.0.113.5, LB_MODE hash_crc, DST 10.99.0.1, DST 10.99.0.2, DST 10.99.0.3, DST 10.99.0.4,
                          DST 10.99.0.5, DST 10.99.0.6, DST 10.99.0.7, DST 10.99.0.8)
    -> counter :: AverageCounter
    -> ToDPDKDevice(1, N_QUEUES 1, BLOCKING true)

DriverManager(wait $WARM, write counter.reset, wait $TIME, print "RATE $(counter.rate)",
    print "CHECK flows $(manager.count)", stop)
