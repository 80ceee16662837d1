-- include less

-- Return true if a number, given in digits, is greater than a counter's: it may be greater than a Lua number can hold.
local function is_ahead(counter, value)
    if string.sub(value, 1, 1) == '-' then
        return false
    end
    local now = redis.call('HGET', PREFIX .. 'counters', counter) or '0'
    return #now < #value or (#now == #value and less(now, value))
end
