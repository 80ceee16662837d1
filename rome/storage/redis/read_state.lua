-- include other_format

-- Return the state, and a refusal if the database has another format.
local function read_state()
    local found = redis.call('HMGET', META, 'state', 'format')
    return found[1], other_format(found[2], found[1])
end
