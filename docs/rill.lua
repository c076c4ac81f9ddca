-- Wireshark and tshark: names Rill's Geneve options and message bodies (docs/wire-format.md).
--
--     tshark -X lua_script:docs/rill.lua -r FILE -Y 'rill.type == "move"' -O rill
--
-- A postdissector: Wireshark dissects Geneve and the inner Ethernet packet by itself, and this adds
-- a tree "Rill" behind, for each Geneve header that has an option of Rill's class. So nobody else's
-- Geneve is touched, and neither "Decode As" nor turning this off changes what Wireshark shows.
--
-- Where lib/frame/geneve.c would refuse the frame, an expert info says so under the same reason
-- (rill.refused.*). Outer checksums are Wireshark's to check. Works with Lua 5.2 to 5.4: no
-- operators on integers, and no numbers above 2^53 but as UInt64.

local CLASS = 0xff52
local LAYOUT = 1
local BODY_MAX = 61440
local PROTOCOL_ETHERNET, PROTOCOL_BODY = 0x6558, 0x88b5
local UDP_BYTES, GENEVE_BYTES, OPTION_HEADER = 8, 8, 4
local ENDPOINT_BYTES, ALIAS_BYTES, LEASE_BYTES, REPLICA_HEAD_BYTES = 20, 48, 24, 48
local TUPLE_BYTES, DEATH_BYTES, MEMBER_BYTES = 40, 8, 16
local HEAD_BYTES = ALIAS_BYTES + TUPLE_BYTES
local ITEM_ENDPOINT, ITEM_ENDPOINT_BYTES, ITEM_FLOW, ITEM_FLOW_BYTES, CLAIM_BYTES = 1, 16, 2, 40, 16
local CLAIMS_MAX, CHAIN_MAX_WITH_TUPLE, CHAIN_MAX_WITH_BOTH = 24, 5, 4
local STATE_FIRST, STATE_MAX = 120, 136

local rill = Proto("rill", "Rill")
local geneve_version = Field.new("geneve.version")

-- Fields ---------------------------------------------------------------------------------------

local f = {}
local all_fields = {}

local function field(key, kind, name, ...)
    f[key] = ProtoField[kind]("rill." .. key, name, ...)
    all_fields[#all_fields + 1] = f[key]
end

-- Flow numbers, terms and clocks: 16 bits of controller epoch, 48 of sequence.
local function numbered_field(key, name)
    field(key, "string", name)
    field(key .. ".epoch", "uint16", "Epoch", base.DEC)
    field(key .. ".sequence", "uint64", "Sequence", base.DEC)
end

local PROTOCOLS = {[1] = "ICMP", [6] = "TCP", [17] = "UDP", [58] = "ICMPv6"}

local function address_fields(key, name)
    field(key .. ".ip", "ipv4", name .. " address")
    field(key .. ".ip6", "ipv6", name .. " address")
    field(key .. ".port", "uint16", name .. " port", base.DEC)
end

local function endpoint_fields(key, name)
    address_fields(key, name)
    field(key .. ".proto", "uint8", name .. " protocol", base.DEC, PROTOCOLS)
end

field("layout", "uint8", "Layout version", base.DEC)
field("type", "string", "Type")
field("type.number", "uint8", "Type's number", base.DEC)
field("flags", "uint8", "Flags", base.HEX)
field("side", "string", "Side")
field("src", "string", "From")
field("dst", "string", "To")
field("epoch", "uint16", "Epoch", base.DEC)
numbered_field("flow", "Flow")
numbered_field("term", "Term")
numbered_field("clock", "Clock")
field("step", "uint64", "Step", base.DEC)
field("window", "uint64", "Window", base.HEX)
numbered_field("next_term", "Next term")
field("next_unit", "string", "Next unit")
numbered_field("granted_term", "Granted term")
field("ingress.ns", "uint64", "Ingress time in ns", base.DEC)
field("ingress.id", "uint64", "Ingress id", base.DEC)
field("ingress.wire_bytes", "uint32", "Bytes on the wire", base.DEC)
field("ingress.first_sport", "uint16", "First fragment's source port", base.DEC)
field("ingress.first_dport", "uint16", "First fragment's destination port", base.DEC)
numbered_field("chain.term", "Term")
field("chain.unit", "string", "Unit")
field("chain.output_logger", "string", "Output logger, where the unit is dead")
field("target", "string", "Target")
field("state.offset", "uint16", "Offset in the flow's state", base.DEC)
field("state.bytes", "uint8", "Bytes", base.DEC)
field("state.data", "bytes", "State")
field("pool", "uint16", "Pool", base.DEC)
field("endpoint", "uint32", "Endpoint of the pool", base.DEC)
field("count", "uint32", "Count", base.DEC)
field("dead.output_logger", "string", "The dead unit's output logger")
field("alias", "string", "Alias")
endpoint_fields("alias.local", "Local")
endpoint_fields("alias.remote", "Remote")
numbered_field("alias.lease", "Lease that it was taken from")
field("tuple", "string", "What the flow is known by")
address_fields("tuple.a", "One side's")
address_fields("tuple.b", "The other side's")
field("tuple.proto", "uint8", "Protocol", base.DEC, PROTOCOLS)
field("lease.unit", "string", "Unit")
field("lease.output_logger", "string", "Output logger")
field("lease.share", "uint32", "Share in thousandths", base.DEC)
field("lease.capacity_bps", "uint64", "Capacity of the whole unit in bit/s", base.DEC)
field("grant.index", "uint32", "Index", base.DEC)
numbered_field("replica.flow", "Flow")
numbered_field("replica.term", "Term")
field("replica.step", "uint64", "Step", base.DEC)
numbered_field("replica.clock", "Clock")
field("replica.window", "uint64", "Window", base.HEX)
field("replica.state_bytes", "uint32", "Bytes of state", base.DEC)
field("death.unit", "string", "Dead unit")
field("death.output_logger", "string", "Output logger that has its state")
field("member.unit", "string", "Unit")
field("member.output_logger", "string", "Output logger")
field("member.dead", "uint32", "Dead, and not recovered from", base.DEC)
field("item.pool", "uint16", "Pool", base.DEC)
field("item.index", "uint32", "Index", base.DEC)
numbered_field("item.lease", "Lease that it is of")
numbered_field("item.flow", "Flow")
numbered_field("item.term", "Term of the version that the head is of")
field("item.step", "uint64", "Its step", base.DEC)
field("item.idle_ns", "uint64", "Idle for, in ns", base.DEC)
field("item.head", "bool", "The head of the flow's state is here", 8, nil, 0x01)
field("item.confirmed", "bool", "A controller knows its alias", 8, nil, 0x02)
numbered_field("claim.term", "Term")
field("claim.unit", "string", "Unit")
field("claim.established", "uint32", "Established", base.DEC)

-- Bit, key, text. Some bits have two meanings: 0x02 that of DATA, FORWARDED and ESTABLISHED, and the
-- others'; 0x04 that of FINAL, LOGGER_STATE and STORE_VALUE, and the others'; 0x08 that of DATA and
-- FORWARDED, and the others'; 0x10 and 0x20 that of WHERE, and the others'; 0x20 also that of CHANGE.
local FLAGS = {
    {0x01, "packet", "A packet follows the options"},
    {0x02, "full", "The state bytes are the whole state"},
    {0x02, "tuple", "What the flow is known by is here, or in its state"},
    {0x04, "state", "The body holds the state"},
    {0x04, "alias_known", "The controller knows the flow's alias"},
    {0x08, "refused", "Refused"},
    {0x08, "endpoint", "An endpoint is kept for the flow"},
    {0x10, "elsewhere", "Too large to ride along, FULL went before"},
    {0x10, "forgotten", "The term is said to be established, and is not known"},
    {0x20, "ended", "The NF has ended the flow"},
    {0x20, "turn", "The packet comes in again where it leaves"},
    {0x20, "by_gap", "Flowlet began by gap"},
    {0x40, "by_size", "Flowlet began by size"},
    {0x80, "moved", "First packet of its term, on another unit"},
}
for _, flag in ipairs(FLAGS) do
    field("flags." .. flag[2], "bool", flag[3], 8, nil, flag[1])
end
rill.fields = all_fields

-- Expert infos ---------------------------------------------------------------------------------

local expert = {
    body = ProtoExpert.new("rill.body.malformed", "The body is not what its type has",
                           expert.group.MALFORMED, expert.severity.ERROR),
    cut = ProtoExpert.new("rill.cut", "The capture does not hold the whole frame",
                          expert.group.UNDECODED, expert.severity.NOTE),
    unknown = ProtoExpert.new("rill.unknown_option", "An option that Rill skips",
                              expert.group.UNDECODED, expert.severity.NOTE),
    short = "The bytes end before a header, an option or the datagram does",
    version = "Geneve's version is not 0, or FRAME's layout version not 1",
    option = "A critical option unknown, twice, of another width, or not of this type",
    missing = "An option of this type is not there",
    type = "The frame type is not in the table",
    value = "A flag, count or length contradicts the type or another length",
}
for _, reason in ipairs({"short", "version", "option", "missing", "type", "value"}) do
    expert[reason] = ProtoExpert.new("rill.refused." .. reason, expert[reason],
                                     _G.expert.group.MALFORMED, _G.expert.severity.ERROR)
end
rill.experts = {expert.body, expert.cut, expert.unknown, expert.short, expert.version,
                expert.option, expert.missing, expert.type, expert.value}

-- `c`, the context of one frame: its bytes `tvb`, of which it has those below `have` and should have
-- those below `stop`; its tree; `seen`, the options by name; and what has been read so far.
local function refuse(c, reason, text)
    c.tree:add_proto_expert_info(expert[reason], "Refused (" .. reason .. "): " .. text)
end

-- Values ---------------------------------------------------------------------------------------

local ROLES = {
    [0] = "none", "rm", "controller", "unit", "output_logger", "agent", "port", "client", "store",
}

local function role_text(id)
    local kind = math.floor(id / 0x1000000)
    return string.format("%s:%d", ROLES[kind] or "kind_" .. kind, id % 0x1000000)
end

local function add_role(tree, key, range, little)
    local text = role_text(little and range:le_uint() or range:uint())
    tree:add(f[key], range, text)
    return text
end

local function add_numbered(tree, key, range, little)
    local epoch, sequence = range(0, 2), range(2, 6)
    local add = "add"
    if little then
        epoch, sequence, add = range(6, 2), range(0, 6), "add_le"
    end
    local text = (little and epoch:le_uint() or epoch:uint()) .. "." ..
                 tostring(little and sequence:le_uint64() or sequence:uint64())
    local item = tree:add(f[key], range, text)
    item[add](item, f[key .. ".epoch"], epoch)
    item[add](item, f[key .. ".sequence"], sequence)
    return text
end

-- Options --------------------------------------------------------------------------------------

-- name: what docs/wire-format.md calls a type; uses: its options behind FRAME; data: what follows;
-- sometimes: options that only some of them have.
local TYPES = {
    [1] = {"data", "FLOW TERM CLOCK INGRESS CHAIN TARGETS", "packet", "TUPLE ENDPOINT"},
    [2] = {"forwarded", "FLOW TERM CLOCK INGRESS CHAIN", "packet", "TUPLE ENDPOINT"},
    [3] = {"change", "FLOW TERM CLOCK STEP INGRESS STATE", "maybe", "STATE_MORE"},
    [4] = {"pass", "INGRESS", "packet"},
    [5] = {"ingress", "INGRESS", "packet"},
    [6] = {"released", "FLOW INGRESS", "packet"},
    [7] = {"turned", "CLOCK INGRESS", "packet"},
    [8] = {"move", "FLOW TERM NEXT_TERM NEXT_UNIT CHAIN"},
    [9] = {"pull", "FLOW TERM NEXT_TERM NEXT_UNIT CHAIN"},
    [10] = {"final", "FLOW TERM CLOCK STEP NEXT_TERM NEXT_UNIT GRANTED_TERM COUNT CHAIN", "state"},
    [11] = {"replica", "", "replicas"},
    [12] = {"take", "FLOW TERM CHAIN"},
    [16] = {"full", "FLOW TERM CLOCK STEP GRANTED_TERM COUNT", "state"},
    [17] = {"no_full", "FLOW"},
    [18] = {"sync", "FLOW TERM CLOCK STEP GRANTED_TERM COUNT"},
    [19] = {"request_full", "FLOW"},
    [20] = {"sync_ack", "FLOW TERM CLOCK STEP GRANTED_TERM"},
    [21] = {"logger_pull", "FLOW TERM CLOCK STEP NEXT_TERM NEXT_UNIT GRANTED_TERM"},
    [22] = {"logger_state", "FLOW TERM CLOCK STEP NEXT_TERM NEXT_UNIT GRANTED_TERM COUNT", "state"},
    [24] = {"established", "FLOW TERM NEXT_UNIT"},
    [25] = {"established_ack", "FLOW TERM NEXT_UNIT"},
    [26] = {"alias", "FLOW TERM NEXT_UNIT", "alias"},
    [27] = {"alias_ack", "FLOW TERM NEXT_UNIT", "alias"},
    [28] = {"need", "FLOW TERM NEXT_UNIT"},
    [29] = {"forget", "FLOW TERM NEXT_UNIT"},
    [30] = {"where", "FLOW TERM"},
    [31] = {"chain", "FLOW TERM CHAIN"},
    [32] = {"pool_request", "CLOCK POOL COUNT"},
    [33] = {"pool_grant", "TERM CLOCK POOL COUNT", "indexes"},
    [34] = {"fence", "NEXT_UNIT"},
    [35] = {"fence_ack", "NEXT_UNIT"},
    [36] = {"dead", "NEXT_UNIT COUNT"},
    [37] = {"inventory", "TERM CLOCK COUNT", "deaths"},
    [38] = {"inventory_part", "TERM CLOCK NEXT_TERM COUNT", "items"},
    [40] = {"lease_request", "CLOCK COUNT"},
    [41] = {"lease_grant", "CLOCK COUNT", "leases"},
    [42] = {"share", "CLOCK NEXT_UNIT COUNT"},
    [43] = {"share_ack", "CLOCK NEXT_UNIT COUNT"},
    [44] = {"death", "NEXT_UNIT COUNT"},
    [45] = {"death_ack", "NEXT_UNIT COUNT"},
    [46] = {"recovered", "NEXT_UNIT"},
    [47] = {"recovered_ack", "NEXT_UNIT"},
    [48] = {"new_logger", "CLOCK NEXT_UNIT"},
    [49] = {"new_logger_ack", "CLOCK COUNT"},
    [50] = {"members_request", "CLOCK"},
    [51] = {"members", "CLOCK COUNT", "members"},
    [56] = {"store_put", "FLOW TERM CLOCK STEP GRANTED_TERM", "state"},
    [57] = {"store_ack", "FLOW TERM CLOCK STEP GRANTED_TERM"},
    [58] = {"store_get", "FLOW COUNT"},
    [59] = {"store_value", "FLOW TERM CLOCK STEP GRANTED_TERM COUNT", "state"},
}
for _, t in pairs(TYPES) do
    t.name, t.data, t.sometimes, t.uses = t[1], t[3], {}, {FRAME = true}
    for option in t[2]:gmatch("%S+") do
        t.uses[option] = true
    end
    for option in (t[4] or ""):gmatch("%S+") do
        t.sometimes[option] = true
    end
end

local function has_flag(c, bit)
    return math.floor(c.flags / bit) % 2 == 1
end

-- Which meaning a bit with two of them has here.
local function flag_applies(c, key)
    local has_state = c.name == "final" or c.name == "logger_state" or c.name == "store_value"
    local has_tuple = c.name == "data" or c.name == "forwarded" or c.name == "established"
    if key == "state" or key == "alias_known" then
        return (key == "state") == has_state
    elseif key == "full" or key == "tuple" then
        return (key == "tuple") == has_tuple
    elseif key == "refused" or key == "endpoint" then
        return (key == "endpoint") == (c.name == "data" or c.name == "forwarded")
    elseif key == "ended" or key == "turn" or key == "by_gap" then
        return key == ({where = "ended", change = "turn"})[c.name] or
            (key == "by_gap" and c.name ~= "where" and c.name ~= "change")
    elseif key == "elsewhere" or key == "forgotten" then
        return (key == "forgotten") == (c.name == "where")
    end
    return true
end

local function read_flags(c, tree, range)
    local item = tree:add(f["flags"], range)
    local names = {}
    for _, flag in ipairs(FLAGS) do
        local bit, key = flag[1], flag[2]
        if flag_applies(c, key) then
            item:add(f["flags." .. key], range)
            if has_flag(c, bit) then
                names[#names + 1] = key
            end
        end
    end
    item:append_text(" (" .. table.concat(names, ", ") .. ")")
end

local function read_frame(c, tree, value)
    tree:add(f["layout"], value(0, 1))
    if value(0, 1):uint() ~= LAYOUT then
        refuse(c, "version", "layout version " .. value(0, 1):uint())
        c.other_layout = true
        return
    end
    c.type = TYPES[value(1, 1):uint()]
    c.flags = value(2, 1):uint()
    c.name = c.type and c.type.name or "unknown"
    tree:add(f["type"], value(1, 1), c.name)
    tree:add(f["type.number"], value(1, 1))
    read_flags(c, tree, value(2, 1))
    local side = value(3, 1):uint()
    tree:add(f["side"], value(3, 1), ({[0] = "inside", "outside"})[side] or tostring(side))
    if side > 1 then
        refuse(c, "value", "side is " .. side)
    end
    c.src = add_role(tree, "src", value(4, 4))
    c.dst = add_role(tree, "dst", value(8, 4))
    tree:add(f["epoch"], value(12, 2))
end

local function read_ingress(c, tree, value)
    tree:add(f["ingress.ns"], value(0, 8))
    tree:add(f["ingress.id"], value(8, 8))
    tree:add(f["ingress.wire_bytes"], value(16, 4))
    tree:add(f["ingress.first_sport"], value(20, 2))
    tree:add(f["ingress.first_dport"], value(22, 2))
    c.wire_bytes = value(16, 4):uint()
end

local function read_chain(c, tree, value)
    c.chain_len = value:len() / 16
    for at = 0, value:len() - 16, 16 do
        local entry = tree:add(value(at, 16), "Entry " .. at / 16)
        local term = add_numbered(entry, "chain.term", value(at, 8))
        entry:append_text(": " .. term .. " at " .. add_role(entry, "chain.unit", value(at + 8, 4)))
        local logger = add_role(entry, "chain.output_logger", value(at + 12, 4))
        if value(at + 12, 4):uint() ~= 0 then
            entry:append_text(", dead: ask " .. logger)
        end
    end
end

local function read_targets(c, tree, value)
    for at = 0, value:len() - 4, 4 do
        add_role(tree, "target", value(at, 4))
    end
end

local function read_state(c, tree, value)
    local all = value(2, 1):uint()
    local bytes = math.min(all, STATE_FIRST)
    local room = value:len() - 4
    c.state_bytes = all
    tree:add(f["state.offset"], value(0, 2))
    tree:add(f["state.bytes"], value(2, 1))
    if all > STATE_MAX then
        refuse(c, "value", all .. " bytes of state")
    elseif math.ceil(bytes / 4) * 4 ~= room then
        refuse(c, "value", bytes .. " bytes of state in an option with room for " .. room)
    end
    if bytes > 0 and room > 0 then
        tree:add(f["state.data"], value(4, math.min(bytes, room)))
    end
end

local function read_state_more(c, tree, value)
    local bytes = (c.state_bytes or 0) - STATE_FIRST
    if bytes <= 0 or math.ceil(bytes / 4) * 4 ~= value:len() then
        refuse(c, "value", value:len() .. " bytes for what STATE has no room for")
    end
    if bytes > 0 then
        tree:add(f["state.data"], value(0, math.min(bytes, value:len())))
    end
end

-- One side's address and port, as text; nil where there is none.
local function read_tuple_side(tree, key, address, port, family, little)
    local text
    if family == 4 then
        tree:add(f[key .. ".ip"], address(0, 4))
        text = tostring(address(0, 4):ipv4())
    elseif family == 6 then
        tree:add(f[key .. ".ip6"], address)
        text = "[" .. tostring(address:ipv6()) .. "]"
    else
        return nil
    end
    tree[little and "add_le" or "add"](tree, f[key .. ".port"], port)
    return text .. ":" .. (little and port:le_uint() or port:uint())
end

-- In an option, or raw in a state.
local function add_tuple(tree, range, little)
    local family, proto = range(36, 1):uint(), range(37, 1)
    local a = read_tuple_side(tree, "tuple.a", range(0, 16), range(32, 2), family, little)
    local b = read_tuple_side(tree, "tuple.b", range(16, 16), range(34, 2), family, little)
    local text = family == 0 and "none" or "family " .. family
    if a then
        tree:add(f["tuple.proto"], proto)
        text = a .. " " .. b .. " " .. proto:uint()
    end
    tree:add(f["tuple"], range, text)
    tree:append_text(": " .. text)
end

local function read_tuple(c, tree, value)
    add_tuple(tree, value)
end

local function read_pool(c, tree, value)
    tree:add(f["pool"], value(2, 2))
    if value(0, 2):uint() ~= 0 then
        refuse(c, "value", "the pool's index is above 65535")
    end
end

local function read_count(c, tree, value)
    tree:add(f["count"], value)
    if c.name == "dead" or c.name == "death" then
        add_role(tree, "dead.output_logger", value)
    end
    c.count = value:uint()
end

local function read_endpoint_option(c, tree, value)
    read_pool(c, tree, value(0, 4))
    tree:add(f["endpoint"], value(4, 4))
end

local function read_step(c, tree, value)
    tree:add(f["step"], value(0, 8))
    tree:add(f["window"], value(8, 8))
end

local function numbered(key)
    return function(c, tree, value)
        c[key] = add_numbered(tree, key, value)
    end
end

local function read_next_unit(c, tree, value)
    add_role(tree, "next_unit", value)
end

-- By number: name, reader, and bytes of the value: all, or at most, at least, and a multiple.
local OPTIONS = {
    {"FRAME", read_frame, 16},
    {"FLOW", numbered("flow"), 8},
    {"TERM", numbered("term"), 8},
    {"CLOCK", numbered("clock"), 8},
    {"STEP", read_step, 16},
    {"NEXT_TERM", numbered("next_term"), 8},
    {"NEXT_UNIT", read_next_unit, 4},
    {"GRANTED_TERM", numbered("granted_term"), 8},
    {"INGRESS", read_ingress, 24},
    {"CHAIN", read_chain, 112, 0, 16},
    {"TARGETS", read_targets, 28, 0, 4},
    {"STATE", read_state, 124, 4, 4},
    {"POOL", read_pool, 4},
    {"COUNT", read_count, 4},
    {"TUPLE", read_tuple, TUPLE_BYTES},
    {"STATE_MORE", read_state_more, STATE_MAX - STATE_FIRST, 4, 4},
    {"ENDPOINT", read_endpoint_option, 8},
}
for _, option in ipairs(OPTIONS) do
    option.name, option.read, option.most = option[1], option[2], option[3]
    option.least, option.multiple = option[4] or option.most, option[5] or 1
end

local function option_fits(option, bytes)
    return bytes >= option.least and bytes <= option.most and bytes % option.multiple == 0
end

-- One option that is there as a whole; range: with its header.
local function read_option(c, range)
    local class, type = range(0, 2):uint(), range(2, 1):uint()
    local critical, option = type >= 0x80, nil
    local bytes = range:len() - OPTION_HEADER
    if class == CLASS and critical then
        option = OPTIONS[type - 0x80]
    end
    if option == nil then
        local text = string.format("option of class 0x%04x, type 0x%02x", class, type)
        if critical then
            refuse(c, "option", "unknown critical " .. text)
        else
            c.tree:add_tvb_expert_info(expert.unknown, range, "Skipped: " .. text)
        end
        return
    end
    local tree = c.tree:add(range, option.name)
    if c.seen[option.name] then
        refuse(c, "option", option.name .. " is there twice")
    elseif not option_fits(option, bytes) then
        refuse(c, "option", option.name .. " has " .. bytes .. " bytes")
    elseif bytes > 0 then
        option.read(c, tree, range(OPTION_HEADER, bytes))
    end
    c.seen[option.name] = true
end

-- Calls each(range, whole) for every option whose header is there; `whole` unless its value is not.
-- Returns "short" where the last ends behind the options, "cut" where the bytes end before it does,
-- else nil.
local function each_option(tvb, from, options_end, have, each)
    local at = from
    while at < options_end do
        if options_end - at < OPTION_HEADER then
            return "short"
        end
        if have - at < OPTION_HEADER then
            return "cut"
        end
        local bytes = OPTION_HEADER + tvb(at + 3, 1):uint() % 0x20 * 4
        local left = math.min(options_end, have) - at
        each(tvb(at, math.min(bytes, left)), bytes <= left)
        if bytes > left then
            return bytes > options_end - at and "short" or "cut"
        end
        at = at + bytes
    end
    return nil
end

-- Bodies: raw bytes of fixed structures, little-endian as all hosts are --------------------------

local function bad_body(c, text)
    c.tree:add_proto_expert_info(expert.body, "Body: " .. text)
end

-- Returns the endpoint as text.
local function read_endpoint(c, tree, key, range)
    local family = range(18, 1):uint()
    local port = range(16, 2)
    local address
    if family == 0 then
        return "any"
    elseif family == 4 then
        tree:add(f[key .. ".ip"], range(0, 4))
        address = tostring(range(0, 4):ipv4())
    elseif family == 6 then
        tree:add(f[key .. ".ip6"], range(0, 16))
        address = "[" .. tostring(range(0, 16):ipv6()) .. "]"
    else
        bad_body(c, "an endpoint of family " .. family)
        return "?"
    end
    tree:add_le(f[key .. ".port"], port)
    tree:add(f[key .. ".proto"], range(19, 1))
    return address .. ":" .. port:le_uint() .. "/" .. range(19, 1):uint()
end

local function read_alias(c, tree, range)
    local item = tree:add(range(0, ALIAS_BYTES), "Alias")
    local here = read_endpoint(c, item, "alias.local", range(0, ENDPOINT_BYTES))
    local there = read_endpoint(c, item, "alias.remote", range(ENDPOINT_BYTES, ENDPOINT_BYTES))
    add_numbered(item, "alias.lease", range(2 * ENDPOINT_BYTES, 8), true)
    local text = here == "any" and "none" or here .. " from " .. there
    item:add(f["alias"], range(0, ALIAS_BYTES), text)
    item:append_text(": " .. text)
end

local function read_head(c, tree, range)
    read_alias(c, tree, range(0, ALIAS_BYTES))
    add_tuple(tree:add(range(ALIAS_BYTES, TUPLE_BYTES), "Tuple"), range(ALIAS_BYTES, TUPLE_BYTES),
              true)
end

-- A flow's state: its head, then the NF's tables.
local function read_flow_state(c, tree, range)
    local at = 0
    if range:len() >= HEAD_BYTES then
        read_head(c, tree, range)
        at = HEAD_BYTES
    else
        bad_body(c, "a state of " .. range:len() .. " bytes, which has no room for its head")
    end
    if range:len() > at then
        tree:add(f["state.data"], range(at))
    end
end

local function read_replica_head(tree, range)
    local flow = add_numbered(tree, "replica.flow", range(0, 8), true)
    add_numbered(tree, "replica.term", range(8, 8), true)
    tree:add_le(f["replica.step"], range(16, 8))
    add_numbered(tree, "replica.clock", range(24, 8), true)
    tree:add_le(f["replica.window"], range(32, 8))
    tree:add_le(f["replica.state_bytes"], range(40, 4))
    tree:append_text(": flow " .. flow)
end

local function read_replicas(c, tree, range)
    local at, number = 0, 0
    while at < range:len() do
        local left = range:len() - at - REPLICA_HEAD_BYTES
        if left < 0 then
            bad_body(c, "it ends in the head of entry " .. number)
            return
        end
        local bytes = range(at + 40, 4):le_uint()
        local whole = REPLICA_HEAD_BYTES + math.min(bytes, left)
        local entry = tree:add(range(at, whole), "Replica " .. number)
        read_replica_head(entry, range(at, REPLICA_HEAD_BYTES))
        if bytes > left then
            bad_body(c, "it ends in the state of entry " .. number)
            return
        end
        if bytes > 0 then
            read_flow_state(c, entry, range(at + REPLICA_HEAD_BYTES, bytes))
        end
        at, number = at + whole, number + 1
    end
end

local function read_leases(c, tree, range)
    for at = 0, range:len() - LEASE_BYTES, LEASE_BYTES do
        local lease = tree:add(range(at, LEASE_BYTES), "Lease " .. at / LEASE_BYTES)
        local unit = add_role(lease, "lease.unit", range(at, 4), true)
        add_role(lease, "lease.output_logger", range(at + 4, 4), true)
        lease:add_le(f["lease.share"], range(at + 8, 4))
        lease:add_le(f["lease.capacity_bps"], range(at + 16, 8))
        lease:append_text(": " .. unit)
    end
end

local function read_indexes(c, tree, range)
    for at = 0, range:len() - 4, 4 do
        tree:add_le(f["grant.index"], range(at, 4))
    end
end

local function read_deaths(c, tree, range)
    for at = 0, range:len() - DEATH_BYTES, DEATH_BYTES do
        local death = tree:add(range(at, DEATH_BYTES), "Death " .. at / DEATH_BYTES)
        death:append_text(": " .. add_role(death, "death.unit", range(at, 4), true))
        add_role(death, "death.output_logger", range(at + 4, 4), true)
    end
end

local function read_members(c, tree, range)
    for at = 0, range:len() - MEMBER_BYTES, MEMBER_BYTES do
        local member = tree:add(range(at, MEMBER_BYTES), "Member " .. at / MEMBER_BYTES)
        member:append_text(": " .. add_role(member, "member.unit", range(at, 4), true))
        add_role(member, "member.output_logger", range(at + 4, 4), true)
        member:add_le(f["member.dead"], range(at + 8, 4))
    end
end

-- These two give the item's bytes, nil where the body ends before the item does.
local function read_endpoint_item(c, tree, range)
    if range:len() < ITEM_ENDPOINT_BYTES then
        return nil
    end
    local item = tree:add(range(0, ITEM_ENDPOINT_BYTES), "Endpoint")
    item:add_le(f["item.pool"], range(2, 2))
    item:add_le(f["item.index"], range(4, 4))
    add_numbered(item, "item.lease", range(8, 8), true)
    return ITEM_ENDPOINT_BYTES
end

local function read_flow_item(c, tree, range)
    if range:len() < ITEM_FLOW_BYTES or range(2, 1):uint() > CLAIMS_MAX then
        return nil
    end
    local claims, has_head = range(2, 1):uint(), range(3, 1):uint() % 2 == 1
    local at = ITEM_FLOW_BYTES + (has_head and HEAD_BYTES or 0)
    local bytes = at + claims * CLAIM_BYTES
    if range:len() < bytes then
        return nil
    end
    local item = tree:add(range(0, bytes), "Flow")
    item:append_text(": " .. add_numbered(item, "item.flow", range(8, 8), true))
    add_numbered(item, "item.term", range(16, 8), true)
    item:add_le(f["item.step"], range(24, 8))
    item:add_le(f["item.idle_ns"], range(32, 8))
    item:add(f["item.head"], range(3, 1))
    item:add(f["item.confirmed"], range(3, 1))
    if has_head then
        read_head(c, item, range(ITEM_FLOW_BYTES, HEAD_BYTES))
    end
    for claim_at = at, bytes - CLAIM_BYTES, CLAIM_BYTES do
        local claim = item:add(range(claim_at, CLAIM_BYTES), "Claim")
        claim:append_text(": " .. add_numbered(claim, "claim.term", range(claim_at, 8), true))
        add_role(claim, "claim.unit", range(claim_at + 8, 4), true)
        claim:add_le(f["claim.established"], range(claim_at + 12, 4))
    end
    return bytes
end

local function read_items(c, tree, range)
    local at = 0
    while at < range:len() do
        local rest, bytes = range(at, range:len() - at), nil
        local kind = rest:len() >= 2 and rest(0, 2):le_uint()
        if kind == ITEM_ENDPOINT then
            bytes = read_endpoint_item(c, tree, rest)
        elseif kind == ITEM_FLOW then
            bytes = read_flow_item(c, tree, rest)
        end
        if bytes == nil then
            bad_body(c, "something that is no item, at " .. at)
            return
        end
        at = at + bytes
    end
end

local function read_alias_body(c, tree, range)
    if range:len() < ALIAS_BYTES then
        bad_body(c, "an alias of " .. range:len() .. " bytes")
    else
        read_alias(c, tree, range)
    end
end

local BODIES = {
    state = read_flow_state,
    replicas = read_replicas,
    alias = read_alias_body,
    indexes = read_indexes,
    leases = read_leases,
    deaths = read_deaths,
    members = read_members,
    items = read_items,
}
local ENTRY_BYTES = {
    indexes = 4, leases = LEASE_BYTES, deaths = DEATH_BYTES, members = MEMBER_BYTES,
}

-- Checks that need the whole of the options ------------------------------------------------------

-- Of the options that only some frames of a type have: should this one have it?
local function should_have(c, name)
    if not c.type.sometimes[name] then
        return false
    elseif name == "TUPLE" then
        return has_flag(c, 0x02)
    elseif name == "ENDPOINT" then
        return has_flag(c, 0x08)
    end
    return (c.state_bytes or 0) > STATE_FIRST
end

local function check_options(c)
    for _, option in ipairs(OPTIONS) do
        local name = option.name
        local must = c.type.uses[name] or should_have(c, name)
        if c.seen[name] and not must then
            refuse(c, c.type.sometimes[name] and "value" or "option",
                   name .. " is not one of this " .. c.name)
        elseif must and not c.seen[name] then
            refuse(c, "missing", name)
        end
    end
    local most = should_have(c, "ENDPOINT") and CHAIN_MAX_WITH_BOTH or CHAIN_MAX_WITH_TUPLE
    if should_have(c, "TUPLE") and (c.chain_len or 0) > most then
        refuse(c, "value", c.chain_len .. " entries of CHAIN beside TUPLE")
    end
end

local function check_data(c, bytes)
    local packet, data = has_flag(c, 0x01), c.type.data
    if packet and data ~= "packet" and data ~= "maybe" then
        refuse(c, "value", c.name .. " has no packet")
    elseif not packet and data == "packet" then
        refuse(c, "value", c.name .. " without a packet")
    elseif packet and c.wire_bytes and bytes > c.wire_bytes then
        refuse(c, "value", "a packet of " .. bytes .. " bytes, on the wire " .. c.wire_bytes)
    elseif not packet and bytes > (BODIES[data] and BODY_MAX or 0) then
        refuse(c, "value", "a body of " .. bytes .. " bytes")
    elseif not packet and ENTRY_BYTES[data] and c.count and
           c.count * ENTRY_BYTES[data] ~= bytes then
        refuse(c, "value", "count is " .. c.count .. ", the body has " .. bytes .. " bytes")
    end
end

local function check_geneve(c, header)
    if header(0, 1):uint() >= 0x40 then
        refuse(c, "version", "Geneve's version is not 0")
    end
    if header(1, 1):uint() >= 0x80 then
        refuse(c, "value", "a control packet (O)")
    end
    if c.flags then
        local protocol = header(2, 2):uint()
        if protocol ~= (has_flag(c, 0x01) and PROTOCOL_ETHERNET or PROTOCOL_BODY) then
            refuse(c, "value", string.format("inner protocol 0x%04x", protocol))
        end
    end
end

-- Frames ---------------------------------------------------------------------------------------

local function set_columns(c, pinfo)
    if not c.name then
        return
    end
    local text = c.name .. " " .. c.src .. " > " .. c.dst
    if c.flow then
        text = text .. " flow " .. c.flow
    end
    if c.term then
        text = text .. " term " .. c.term
    end
    c.tree:append_text(": " .. text)
    if has_flag(c, 0x01) then
        pinfo.cols.info:prepend("[" .. text .. "] ")
    else
        pinfo.cols.protocol = "Rill"
        pinfo.cols.info = text
    end
end

-- A frame whose datagram is cut: by the capture, or because it is not whole.
local function say_cut(c)
    if c.stop > c.tvb:reported_len() then
        refuse(c, "short", "the frame ends before its datagram does")
    elseif c.have < c.stop then
        c.tree:add_proto_expert_info(expert.cut)
    end
end

local function read_data(c, from)
    if not c.type then
        return
    end
    check_options(c)
    check_data(c, math.max(c.stop - from, 0))
    local body = BODIES[c.type.data]
    if body and not has_flag(c, 0x01) and c.have > from then
        local range = c.tvb(from, c.have - from)
        if c.have == c.stop then
            body(c, c.tree:add(range, "Body"), range)
        end
    end
end

-- at: where the Geneve header begins.
local function read_rill(tvb, pinfo, tree, at)
    local c = {tvb = tvb, seen = {}}
    c.stop = at - UDP_BYTES + tvb(at - UDP_BYTES + 4, 2):uint()
    c.have = math.min(c.stop, tvb:len())
    if c.have - at < GENEVE_BYTES then
        return
    end
    local from = at + GENEVE_BYTES
    local data = from + tvb(at, 1):uint() % 0x40 * 4
    local ours = false
    each_option(tvb, from, data, c.have, function(range)
        ours = ours or range(0, 2):uint() == CLASS
    end)
    if not ours then
        return
    end
    c.tree = tree:add(rill, tvb(from, math.min(data, c.have) - from))
    local ending = each_option(tvb, from, data, c.have, function(range, whole)
        if whole then
            read_option(c, range)
        end
    end)
    if data > c.stop or ending == "short" then
        refuse(c, "short", "the options end in the middle of one")
    elseif ending == nil then
        if not c.seen.FRAME then
            refuse(c, "missing", "FRAME")
        elseif not c.type and c.name then
            refuse(c, "type", "no such type")
        end
        read_data(c, data)
    end
    check_geneve(c, tvb(at, GENEVE_BYTES))
    say_cut(c)
    set_columns(c, pinfo)
end

function rill.dissector(_, pinfo, tree)
    for _, info in ipairs({geneve_version()}) do
        if info.offset >= UDP_BYTES and info.source then
            read_rill(info.source, pinfo, tree, info.offset)
        end
    end
end

register_postdissector(rill)
