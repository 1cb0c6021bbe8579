package magazine

// Reap gives back what the working set did not need: as many full magazines as have lain in the
// depot all the time since the last Reap, as in the paper. Their objects, some at a time, go to
// give, which may use them at once but must not keep the slice; they are its own from then on. In
// a lazy depot the empty magazines that nobody needed lose their memory as well. Reap returns how
// many objects it gave.
//
// Call it from time to time, so that it knows; under pressure use ReapAll. Any thread may, while
// others trade. Only one reaps at a time: a second one gives nothing.
func (d *Depot[T]) Reap(give func(objects []T)) (objects int) {
	if !d.reaper.CompareAndSwap(false, true) {
		return 0
	}
	defer d.reaper.Store(false)
	period := d.period.Load()
	empty := d.empty.settled(d.next, period)
	full := d.full.settled(d.next, period)
	d.period.Add(1)
	d.dropEmpty(empty)
	return d.giveAway(&d.full, full, give)
}

// ReapAll gives back everything in the depot. What the caches hold stays theirs: each worker may
// Drain first.
func (d *Depot[T]) ReapAll(give func(objects []T)) (objects int) {
	if !d.reaper.CompareAndSwap(false, true) {
		return 0
	}
	defer d.reaper.Store(false)
	objects = d.giveAway(&d.full, len(d.mags), give)
	objects += d.giveAway(&d.partial, len(d.mags), give)
	d.dropEmpty(len(d.mags))
	return objects
}

// giveAway empties up to most magazines of s.
func (d *Depot[T]) giveAway(s *stack, most int, give func(objects []T)) (objects int) {
	for range most {
		number, ok, _ := s.pop(d.next)
		if !ok {
			break
		}
		m := &d.mags[number]
		give(m.objects[:m.count:m.count])
		objects += m.count
		m.count = 0
		d.put(&d.empty, number)
	}
	return objects
}

// dropEmpty takes the memory of up to most empty magazines.
func (d *Depot[T]) dropEmpty(most int) {
	if !d.lazy {
		return
	}
	for range most {
		number, ok, _ := d.empty.pop(d.next)
		if !ok {
			break
		}
		d.mags[number].objects = nil
		d.put(&d.bare, number)
	}
}

// Stored counts the objects in the depot. It is exact only while no cache trades: an audit.
func (d *Depot[T]) Stored() (n int) {
	for range d.Objects {
		n++
	}
	return n
}

// Objects yields the objects in the depot: an iter.Seq, for audits, while no cache trades.
func (d *Depot[T]) Objects(yield func(object T) bool) {
	_ = d.each(&d.full, yield) && d.each(&d.partial, yield)
}

func (d *Depot[T]) each(s *stack, yield func(object T) bool) bool {
	at := uint32(s.head.Load())
	for range d.mags {
		if at == 0 {
			break
		}
		if !d.mags[at-1].each(yield) {
			return false
		}
		at = uint32(d.next[at-1].Load())
	}
	return true
}

func (m *magazine[T]) each(yield func(object T) bool) bool {
	for _, o := range m.objects[:m.count] {
		if !yield(o) {
			return false
		}
	}
	return true
}

// Objects yields the objects that this cache holds: an iter.Seq, for audits.
func (c *Cache[T]) Objects(yield func(object T) bool) {
	_ = c.loaded.each(yield) && c.previous.each(yield)
}
