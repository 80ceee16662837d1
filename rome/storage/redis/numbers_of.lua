-- Return the numbers of a state: version, horizon, log_bytes, catalog version; all 0 before the first commit.
local function numbers_of(state)
    if not state then
        return 0, 0, 0, 0
    end
    return struct.unpack('>I8I8I8I8', state)
end
