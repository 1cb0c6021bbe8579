package dirty

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

const pages = 24 // of the window that the models have; a page is one byte here

// TestSetModel compares a set with a plain array of bits.
func TestSetModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s set
		var want [pages]bool
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			from := rapid.Int64Range(0, pages).Draw(t, "from")
			to := rapid.Int64Range(from, pages).Draw(t, "to")
			in := rapid.Bool().Draw(t, "add")
			if in {
				s.add(from, to)
			} else {
				s.remove(from, to)
			}
			for i := from; i < to; i++ {
				want[i] = in
			}
			checkSet(t, &s, want[:])
		}
		from := rapid.Int64Range(0, pages).Draw(t, "within from")
		to := rapid.Int64Range(from, pages).Draw(t, "within to")
		var got [pages]bool
		for _, r := range s.within(from, to, nil) {
			for i := r.from; i < r.to; i++ {
				got[i] = true
			}
		}
		if any := slices.Contains(got[:], true); s.touches(from, to) != any {
			t.Fatalf("touches [%d, %d): %v of %v", from, to, !any, s.spans)
		}
		if all := from < to && !slices.Contains(got[from:to], false); s.holds(from, to) != all && from < to {
			t.Fatalf("holds [%d, %d): %v of %v", from, to, !all, s.spans)
		}
		for i := range got {
			if in := want[i] && int64(i) >= from && int64(i) < to; got[i] != in {
				t.Fatalf("within [%d, %d): byte %d is %v, want %v", from, to, i, got[i], in)
			}
		}
	})
}

func checkSet(t *rapid.T, s *set, want []bool) {
	var got [pages]bool
	end := int64(-1)
	for _, r := range s.spans {
		if r.from >= r.to || r.from <= end {
			t.Fatalf("spans %v: empty, touching or out of order", s.spans)
		}
		end = r.to
		for i := r.from; i < r.to; i++ {
			got[i] = true
		}
	}
	if !slices.Equal(got[:], want) {
		t.Fatalf("spans %v, want %v", s.spans, want)
	}
}

// model is a window with a kernel: per page a value, whether it is present, and whether it was
// written since it was armed.
type model struct {
	value   [pages]int
	present [pages]bool
	written [pages]bool
}

// scan does with the ledger's parts what core/mem does with the kernel's reports.
func (m *model) scan(l *Ledger, off, n int64) []Change {
	var runs []Change
	merger, parts := l.Take(off, n, nil)
	for _, p := range parts {
		for i := p.Off; i < p.Off+p.Len; i++ {
			if m.present[i] && (p.Fresh || m.written[i]) {
				runs = append(runs, Change{Off: i, Len: 1})
				m.written[i] = false
			}
		}
	}
	var out []Change
	for _, r := range runs {
		out = merger.Written(r.Off, r.Len, out)
	}
	return merger.End(out)
}

// TestImageModel: whatever is written, dropped, forgotten and taken up again, an image that follows
// the reports is what the window holds.
func TestImageModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m model
		var l Ledger
		image := [pages]int{}
		for i := range image {
			image[i] = -1 // a report that forgets a page leaves nonsense
		}
		const off, n = 3, 17
		tracked := false
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			page := rapid.Int64Range(off, off+n-1).Draw(t, "page")
			count := rapid.Int64Range(1, off+n-page).Draw(t, "count")
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			case 0, 1:
				m.value[page], m.present[page], m.written[page] = step+1, true, true
			case 2:
				for i := page; i < page+count; i++ {
					m.value[i], m.present[i], m.written[i] = 0, false, false
				}
				l.Drop(page, count)
			case 3:
				if had := l.Untrack(off, n); had != tracked || l.Ranges() != 0 {
					t.Fatalf("untracked: %v, want %v; %d are left", had, tracked, l.Ranges())
				}
				tracked = false
			case 4:
				l.Track(off, n)
				tracked = true
			case 5:
				if !tracked {
					continue
				}
				apply(t, &m, &image, m.scan(&l, off, n))
				if image != wanted(&m, image, off, n) {
					t.Fatalf("image %v of window %v", image, m.value)
				}
			}
			if l.Tracked(off, n) != tracked {
				t.Fatalf("tracked: %v, want %v", !tracked, tracked)
			}
		}
	})
}

func wanted(m *model, image [pages]int, off, n int64) [pages]int {
	copy(image[off:off+n], m.value[off:off+n])
	return image
}

func apply(t *rapid.T, m *model, image *[pages]int, changes []Change) {
	end := int64(0)
	for _, c := range changes {
		if c.Off < end || c.Len <= 0 {
			t.Fatalf("changes %v: out of order, empty or overlapping", changes)
		}
		end = c.Off + c.Len
		for i := c.Off; i < end; i++ {
			image[i] = 0
			if !c.Dropped {
				image[i] = m.value[i]
			} else if m.present[i] && m.written[i] {
				t.Fatalf("page %d is reported as dropped and was written after that", i)
			}
		}
	}
}

func TestMerger(t *testing.T) {
	var l Ledger
	l.Track(0, 100)
	_, parts := l.Take(0, 300, nil)
	if want := []Part{{0, 100, true}, {100, 200, false}}; !slices.Equal(parts, want) {
		t.Errorf("parts %v, want %v", parts, want)
	}
	l.Drop(10, 20)
	l.Drop(40, 10)
	l.Drop(200, 10) // nobody asked
	m, parts := l.Take(0, 300, nil)
	if want := []Part{{0, 300, false}}; !slices.Equal(parts, want) {
		t.Errorf("parts %v, want %v", parts, want)
	}
	var got []Change
	got = m.Written(0, 5, got)
	got = m.Written(5, 5, got)   // a neighbour
	got = m.Written(15, 5, got)  // within what was dropped
	got = m.Written(28, 14, got) // over the end of one and the beginning of another
	got = m.End(got)
	want := []Change{
		{0, 10, false},
		{10, 5, true},
		{15, 5, false},
		{20, 8, true},
		{28, 14, false},
		{42, 8, true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
