-- Shared code, with which each script begins. KEYS[1] is the database's meta hash, whose name has the prefix
-- of all others (see layout.py). ARGV[1] is the format number of the client.
--
-- To define a function costs a tenth of a microsecond in every run of a script. So rarely used ones are files of their
-- own, and a script includes them where it needs them (`-- include NAME`, see connection.py).

local META = KEYS[1]
local PREFIX = string.sub(META, 1, -5)
local CHUNK = 3000 -- unpack() fails at 8000 values; twice as many must fit, and pairs must stay together
local FILLED = 9 -- the length of a space's field in the meta hash if the space has keys: its version, and \1

-- Return a Lua number as digits: concatenation would round it above 10^14.
local function digits(number)
    return string.format('%d', number)
end

-- Return the numbers of a state: version, horizon, log_bytes, catalog version; all 0 before the first commit.
local function numbers_of(state)
    if not state then
        return 0, 0, 0, 0
    end
    return struct.unpack('>I8I8I8I8', state)
end

-- Return the refusal if the database has another format, or a state that is none.
local function other_format(format, state)
    if format and format ~= ARGV[1] then
        return {'format', format}
    end
    if #(state or '') ~= (format and 56 or 0) then
        return {'state'}
    end
end
