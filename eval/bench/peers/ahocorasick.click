// Ten words searched by the Aho-Corasick element in each packet for itself; it keeps nothing of a flow.
// From the capture in memory (port 0) to nowhere (port 1), on one core. CHECK: what the runner compares with the flows.
define($MBUFS 400000, $ROOM 384, $CAPACITY 1048576, $WARM 2s, $TIME 3s)

DPDKInfo($MBUFS, MBUF_SIZE $ROOM)

FromDPDKDevice(0, N_QUEUES 1)
    -> Strip(42)
    -> matcher :: StringMatcher(attack, exploit, malware, shellcode, passwd,
                       overflow, backdoor, rootkit, payload, botnet)
    -> Unstrip(42)
    -> counter :: AverageCounter
    -> ToDPDKDevice(1, N_QUEUES 1, BLOCKING true)

DriverManager(wait $WARM, write counter.reset, wait $TIME, print "RATE $(counter.rate)",
    print "CHECK matches $(matcher.matches)", stop)
