package magazine

// Cache is one worker's two magazines. Between two calls the previous one is either full or empty:
// they are swapped only when the loaded one is.
type Cache struct {
	depot    *Depot
	loaded   *magazine
	previous *magazine
	_        [lineBytes - 24]byte // two workers' caches do not share a line
}

// Get takes an object; false when neither this cache nor the depot has one.
func (c *Cache) Get() (object uint32, ok bool) {
	m := c.loaded
	if m.count == 0 {
		if !c.loadFull() {
			return 0, false
		}
		m = c.loaded
	}
	m.count--
	return m.rounds[m.count], true
}

// Put gives an object back. It always succeeds for objects that came from this depot: there is room
// for every one of them. It panics when there are more than the depot was made for.
func (c *Cache) Put(object uint32) {
	m := c.loaded
	if m.count == len(m.rounds) {
		c.loadEmpty()
		m = c.loaded
	}
	m.rounds[m.count] = object
	m.count++
}

// loadFull makes the loaded magazine, which is empty, one with objects; false if there is none.
func (c *Cache) loadFull() bool {
	if c.previous.count > 0 {
		c.loaded, c.previous = c.previous, c.loaded
		return true
	}
	d := c.depot
	number, ok := d.full.pop(d.next)
	if !ok {
		if number, ok = d.partial.pop(d.next); !ok {
			return false
		}
	}
	d.empty.push(d.next, c.previous.number)
	c.previous, c.loaded = c.loaded, &d.mags[number]
	return true
}

// loadEmpty makes the loaded magazine, which is full, one with room.
func (c *Cache) loadEmpty() {
	if c.previous.count == 0 {
		c.loaded, c.previous = c.previous, c.loaded
		return
	}
	m := c.depot.takeEmpty()
	c.depot.full.push(c.depot.next, c.previous.number)
	c.previous, c.loaded = c.loaded, m
}

// Count is how many objects this cache holds.
func (c *Cache) Count() int { return c.loaded.count + c.previous.count }

// Drain hands all objects to the depot; the cache stays usable. It fills up a partial magazine of
// the depot before it makes another, so that draining often does not use up the empty ones.
func (c *Cache) Drain() {
	c.depot.pour(c.loaded)
	c.depot.pour(c.previous)
}

// pour empties m into the depot: in two steps at most, since the first that does not finish has
// filled its target up.
func (d *Depot) pour(m *magazine) {
	for m.count > 0 {
		to := d.takePartial()
		n := min(m.count, len(to.rounds)-to.count)
		copy(to.rounds[to.count:], m.rounds[m.count-n:m.count])
		to.count += n
		m.count -= n
		if to.count == len(to.rounds) {
			d.full.push(d.next, to.number)
		} else {
			d.partial.push(d.next, to.number)
		}
	}
}

// takePartial takes a magazine that has room.
func (d *Depot) takePartial() *magazine {
	if number, ok := d.partial.pop(d.next); ok {
		return &d.mags[number]
	}
	return d.takeEmpty()
}

// takeEmpty takes an empty magazine. New has made enough for the objects that it was told of.
func (d *Depot) takeEmpty() *magazine {
	number, ok := d.empty.pop(d.next)
	if !ok {
		panic("magazine: more objects were put than the depot was made for")
	}
	return &d.mags[number]
}
