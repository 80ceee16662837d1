-- Return the values of some keys of a list; false if a key does not exist.
local function values_of(space, keys, first, last)
    return send(string.byte(space, 3) == ENTRIES and 'ZMSCORE' or 'HMGET', PREFIX .. space, keys, first, last)
end
