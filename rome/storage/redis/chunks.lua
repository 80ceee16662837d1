-- Call `work(first, last)` for pieces of 1 .. count that are small enough for unpack().
local function chunks(count, work)
    for first = 1, count, CHUNK do
        work(first, math.min(first + CHUNK - 1, count))
    end
end
