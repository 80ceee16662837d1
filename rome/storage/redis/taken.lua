-- include values_of

-- Return the refusal if a key that must be new exists, or, if it is `wanted`, does not exist. Its keys begin at `first`
-- in `args`, then come its ranges.
local function taken(args, space, first, keys, ranges, wanted)
    if keys > 0 then
        local found = values_of(space, args, first, first + keys - 1)
        for i = 1, keys do
            if not found[i] == wanted then
                return {wanted and 'absent' or 'taken', space, args[first + i - 1]}
            end
        end
    end
    local order = PREFIX .. (string.byte(space, 3) == ENTRIES and space or 'o:' .. sub(space, 3))
    for i = first + keys, first + keys + 2 * ranges - 1, 2 do
        local found = call('ZRANGEBYLEX', order, '[' .. args[i], '(' .. args[i + 1], 'LIMIT', 0, 1)
        if not found[1] == wanted then
            return {wanted and 'absent' or 'taken', space, found[1] or args[i]}
        end
    end
end
