-- Return a Lua number as digits: concatenation would round it above 10^14.
local function digits(number)
    return string.format('%d', number)
end
