package magazine

// Cache is one worker's two magazines.
type Cache struct {
	depot    *Depot
	loaded   uint32 // magazine numbers
	previous uint32
}

// Get takes an object; false when neither this cache nor the depot has one.
func (c *Cache) Get() (object uint32, ok bool) {
	m := &c.depot.mags[c.loaded]
	if m.count == 0 {
		if m = c.swapForFull(); m == nil {
			return 0, false
		}
	}
	m.count--
	return m.rounds[m.count], true
}

// Put gives an object back. It always succeeds for objects that came from this depot: there is room
// for every one of them.
func (c *Cache) Put(object uint32) {
	m := &c.depot.mags[c.loaded]
	if m.count == len(m.rounds) {
		m = c.swapForEmpty()
	}
	m.rounds[m.count] = object
	m.count++
}

// swapForFull makes the loaded magazine one with objects, or returns nil.
func (c *Cache) swapForFull() *magazine {
	d := c.depot
	if d.mags[c.previous].count > 0 {
		c.loaded, c.previous = c.previous, c.loaded
		return &d.mags[c.loaded]
	}
	number, ok := d.full.pop(d.next)
	if !ok {
		return nil
	}
	d.empty.push(d.next, c.previous)
	c.previous, c.loaded = c.loaded, number
	return &d.mags[c.loaded]
}

// swapForEmpty makes the loaded magazine one with room.
func (c *Cache) swapForEmpty() *magazine {
	d := c.depot
	if d.mags[c.previous].count == 0 {
		c.loaded, c.previous = c.previous, c.loaded
		return &d.mags[c.loaded]
	}
	number, ok := d.empty.pop(d.next)
	if !ok {
		panic("magazine: more objects were put than the depot was made for")
	}
	d.full.push(d.next, c.previous)
	c.previous, c.loaded = c.loaded, number
	return &d.mags[c.loaded]
}

// Count is how many objects this cache holds.
func (c *Cache) Count() int {
	return c.depot.mags[c.loaded].count + c.depot.mags[c.previous].count
}

// Drain hands all objects to the depot; the cache stays usable.
func (c *Cache) Drain() {
	d := c.depot
	for _, slot := range []*uint32{&c.loaded, &c.previous} {
		if d.mags[*slot].count == 0 {
			continue
		}
		number, ok := d.empty.pop(d.next)
		if !ok {
			panic("magazine: no empty magazine to drain into")
		}
		d.full.push(d.next, *slot)
		*slot = number
	}
}
