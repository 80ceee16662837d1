-- Return the refusal if a key of a check's range exists (demand NO_KEYS).
local function taken(args, check)
    local space = check.space
    if check.ranges > check.keys then
        local found = values_of(space, args, check.keys, check.ranges - 1)
        for i = 1, check.ranges - check.keys do
            if found[i] then
                return {'taken', space, args[check.keys + i - 1]}
            end
        end
    end
    local order = PREFIX .. (holds_entries(space) and space or 'o:' .. sub(space, 3))
    for i = check.ranges, check.stop - 1, 2 do
        local found = call('ZRANGEBYLEX', order, '[' .. args[i], '(' .. args[i + 1], 'LIMIT', 0, 1)
        if found[1] then
            return {'taken', space, found[1]}
        end
    end
end
