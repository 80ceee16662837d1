-- include digits
-- include numbers_of

-- Return the refusal if a commit in pieces is under way, or one was stopped halfway. `pending`: a field of the meta hash.
local function pending_refusal(pending, state)
    if pending == '!' then
        return {'ahead', digits(numbers_of(state) + 1)}
    end
    if pending and pending ~= '' then
        return {'pending', string.sub(pending, 17)}
    end
end
