// Package dirty keeps account of what changed in a window of memory, besides what the kernel says:
// which ranges somebody asks about, which of them were never reported, and which were dropped since
// the last report. It is pure: offsets in, offsets out. core/mem feeds it with the kernel's
// reports.
//
//	          Track                    Drop            Merger: what a scan says
//	           v                        v
//	asked    [#################################]       written   ##     #####
//	fresh    [#################################]       dropped [   ####     ###]
//	dropped  [#################################]       ───────────────────────────
//	                                                   changes   ww dddd wwww ddd
//
// In a fresh range each page that is present counts as written and every other as dropped, that is,
// zero, so the first report names every byte. Later ones name pages that were written, as the
// kernel reports them, and pages that were dropped, which it does not: a page that is not there has
// no mark of having been written to.
//
// A Ledger belongs to one thread at a time.
package dirty

// Change is a run of whole pages that differ, or may differ, from what an earlier report said.
type Change struct {
	Off, Len int64 // bytes of the window
	Dropped  bool  // the pages were given back and read as zero since; else they were written
}

// Ledger is the account of one window.
type Ledger struct {
	asked   set // what somebody wants reported
	fresh   set // of that: never reported
	dropped set // of that: dropped, or fresh, since the last report
}

// Track begins to account for a range. All of it is fresh.
func (l *Ledger) Track(off, n int64) {
	l.asked.add(off, off+n)
	l.fresh.add(off, off+n)
	l.dropped.add(off, off+n)
}

// Ranges is how many ranges are accounted for that do not touch.
func (l *Ledger) Ranges() int { return len(l.asked.spans) }

// Untrack forgets a range, and says whether there was anything to forget.
func (l *Ledger) Untrack(off, n int64) bool {
	if !l.asked.touches(off, off+n) {
		return false
	}
	l.asked.remove(off, off+n)
	l.fresh.remove(off, off+n)
	l.dropped.remove(off, off+n)
	return true
}

// Drop says that a range was dropped.
func (l *Ledger) Drop(off, n int64) {
	for _, r := range l.asked.within(off, off+n, nil) {
		l.dropped.add(r.from, r.to)
	}
}

// Tracked reports whether all of a range is accounted for.
func (l *Ledger) Tracked(off, n int64) bool {
	return n == 0 || l.asked.holds(off, off+n)
}

// Part is a piece of a range that was taken.
type Part struct {
	Off, Len int64
	Fresh    bool // never reported: every page that is present counts as written
}

// Take appends the parts of a range to parts, in rising order, and returns what of it was dropped
// since it was taken last, as a Merger of the reports to come. Neither is accounted for any more:
// if they cannot be reported, Track the range again.
func (l *Ledger) Take(off, n int64, parts []Part) (Merger, []Part) {
	m := Merger{dropped: l.dropped.within(off, off+n, nil)}
	at := off
	for _, r := range l.fresh.within(off, off+n, nil) {
		if at < r.from {
			parts = append(parts, Part{Off: at, Len: r.from - at})
		}
		parts = append(parts, Part{Off: r.from, Len: r.to - r.from, Fresh: true})
		at = r.to
	}
	if at < off+n {
		parts = append(parts, Part{Off: at, Len: off + n - at})
	}
	l.fresh.remove(off, off+n)
	l.dropped.remove(off, off+n)
	return m, parts
}

// Merger puts written and dropped ranges into one list, in rising order and without overlap. A page
// that is in both was written after it was dropped, or it would not be there.
type Merger struct {
	dropped []span // what is left of them
}

// Written appends a run that was written, and what was dropped before it. Runs come in rising order
// and do not overlap; neighbours become one change.
func (m *Merger) Written(off, n int64, dst []Change) []Change {
	dst = m.until(off, dst)
	m.skip(off + n)
	if k := len(dst) - 1; k >= 0 && !dst[k].Dropped && dst[k].Off+dst[k].Len == off {
		dst[k].Len += n
		return dst
	}
	return append(dst, Change{Off: off, Len: n})
}

// End appends what was dropped behind the last run.
func (m *Merger) End(dst []Change) []Change {
	for _, r := range m.dropped {
		dst = append(dst, Change{Off: r.from, Len: r.to - r.from, Dropped: true})
	}
	m.dropped = nil
	return dst
}

// until appends what was dropped below off.
func (m *Merger) until(off int64, dst []Change) []Change {
	for len(m.dropped) > 0 && m.dropped[0].from < off {
		r := &m.dropped[0]
		end := min(r.to, off)
		dst = append(dst, Change{Off: r.from, Len: end - r.from, Dropped: true})
		if r.from = end; r.from < r.to {
			break
		}
		m.dropped = m.dropped[1:]
	}
	return dst
}

// skip forgets what was dropped below off.
func (m *Merger) skip(off int64) {
	for len(m.dropped) > 0 && m.dropped[0].from < off {
		if m.dropped[0].to > off {
			m.dropped[0].from = off
			return
		}
		m.dropped = m.dropped[1:]
	}
}
