-- Return true if a < b, byte by byte. Lua's own < uses the server's locale.
local function less(a, b)
    local byte = string.byte
    for i = 1, math.min(#a, #b) do
        local x, y = byte(a, i), byte(b, i)
        if x ~= y then
            return x < y
        end
    end
    return #a < #b
end
