package magazine

// Cache is one worker's two magazines. Between two calls the previous one is either full or empty:
// they are swapped only when the loaded one is.
type Cache[T Object] struct {
	depot     *Depot[T]
	loaded    *magazine[T]
	previous  *magazine[T]
	rounds    int                  // objects at which a magazine is full: the depot's, as last seen
	trades    uint32               // with the depot, since the last decision
	contended uint32               // of them
	_         [lineBytes - 40]byte // two workers' caches do not share a line
}

// Get takes an object; false when neither this cache nor the depot has one.
func (c *Cache[T]) Get() (object T, ok bool) {
	m := c.loaded
	if m.count == 0 {
		if !c.loadFull() {
			return 0, false
		}
		m = c.loaded
	}
	m.count--
	return m.objects[m.count], true
}

// Put gives an object back. It always succeeds for objects that came from this depot: there is room
// for every one of them. It panics when there are more than the depot was made for.
func (c *Cache[T]) Put(object T) {
	m := c.loaded
	if m.count >= c.rounds {
		c.loadEmpty()
		m = c.loaded
	}
	m.objects[m.count] = object
	m.count++
}

// loadFull makes the loaded magazine, which is empty, one with objects; false if there is none.
func (c *Cache[T]) loadFull() bool {
	if c.previous.count > 0 {
		c.loaded, c.previous = c.previous, c.loaded
		return true
	}
	d := c.depot
	number, ok, contended := d.full.pop(d.next)
	if !ok {
		if number, ok, _ = d.partial.pop(d.next); !ok {
			return false
		}
	}
	contended = d.put(&d.empty, c.previous.number) || contended
	c.previous, c.loaded = c.loaded, &d.mags[number]
	c.traded(contended)
	return true
}

// loadEmpty makes the loaded magazine, which is full, one with room.
func (c *Cache[T]) loadEmpty() {
	if c.previous.count == 0 {
		c.loaded, c.previous = c.previous, c.loaded
		return
	}
	d := c.depot
	m, contended := d.takeEmpty()
	contended = d.put(&d.full, c.previous.number) || contended
	c.previous, c.loaded = c.loaded, m
	c.traded(contended)
}

// When magazines grow. As in the paper, it is the share of contended visits to the depot that
// counts, and a size once reached is kept.
const (
	adaptTrades    = 64               // trades after which a cache decides (guess)
	adaptContended = adaptTrades / 16 // of them contended: larger magazines (guess)
)

// traded takes over the depot's size of magazines, and doubles it if this cache met others there
// too often. Of several caches that saw the same size only one raises it, and what was seen with
// one size does not count for the next.
func (c *Cache[T]) traded(contended bool) {
	d := c.depot
	if contended {
		c.contended++
	}
	c.trades++
	if c.trades == adaptTrades {
		if c.contended >= adaptContended && c.rounds < d.growTo {
			d.rounds.CompareAndSwap(int64(c.rounds), int64(min(2*c.rounds, d.growTo)))
		}
		c.trades, c.contended = 0, 0
	}
	if rounds := int(d.rounds.Load()); rounds != c.rounds {
		c.rounds, c.trades, c.contended = rounds, 0, 0
	}
}

// Count is how many objects this cache holds.
func (c *Cache[T]) Count() int { return c.loaded.count + c.previous.count }

// Drain hands all objects to the depot; the cache stays usable. It fills up partial magazines of
// the depot before it makes another, so that draining often does not use up the empty ones.
func (c *Cache[T]) Drain() {
	c.depot.pour(c.loaded)
	c.depot.pour(c.previous)
	c.rounds = int(c.depot.rounds.Load())
}

// pour empties m into the depot. Each step but the last fills a magazine up.
func (d *Depot[T]) pour(m *magazine[T]) {
	for m.count > 0 {
		to := d.takePartial()
		// Read after it was taken: whoever left it partly filled knew no larger size.
		rounds := int(d.rounds.Load())
		n := min(m.count, rounds-to.count)
		copy(to.objects[to.count:], m.objects[m.count-n:m.count])
		to.count += n
		m.count -= n
		if to.count == rounds {
			d.put(&d.full, to.number)
		} else {
			d.put(&d.partial, to.number)
		}
	}
}

// takePartial takes a magazine that has room.
func (d *Depot[T]) takePartial() *magazine[T] {
	if number, ok, _ := d.partial.pop(d.next); ok {
		return &d.mags[number]
	}
	m, _ := d.takeEmpty()
	return m
}

// put pushes a magazine onto a stack of the depot.
func (d *Depot[T]) put(s *stack, number uint32) (contended bool) {
	return s.push(d.next, number, d.period.Load())
}

// takeEmpty takes an empty magazine, and reports whether another came in between. New has made
// enough for the objects that it was told of.
func (d *Depot[T]) takeEmpty() (m *magazine[T], contended bool) {
	number, ok, contended := d.empty.pop(d.next)
	if ok {
		return &d.mags[number], contended
	}
	if number, ok, _ = d.bare.pop(d.next); !ok {
		panic("magazine: more objects were put than the depot was made for")
	}
	m = &d.mags[number]
	d.furnish(m)
	return m, contended
}
