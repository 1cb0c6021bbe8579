package mem

import (
	"testing"

	"github.com/dunlin-io/dunlin/core/dirty"
)

// BenchmarkFirstWrite is what the first write to a page costs after a scan: per page.
func BenchmarkFirstWrite(b *testing.B) {
	w, tracker := tracked(b)
	const pages = 2560
	f := follow(b, w, tracker, 0, pages*pageBytes)
	if err := w.Populate(0, pages*pageBytes); err != nil {
		b.Fatal(err)
	}
	page := pages
	for b.Loop() {
		if page == pages {
			b.StopTimer()
			f.scan(b)
			page = 0
			b.StartTimer()
		}
		w.bytes[page*pageBytes]++
		page++
	}
}

// BenchmarkScan is one scan of an arena of 10 MiB, by how many of its pages were written.
func BenchmarkScan(b *testing.B) {
	const pages = 2560
	for _, c := range []struct {
		name  string
		every int // a page of so many is written; 0 is none
	}{{"clean", 0}, {"1%", 100}, {"10%", 10}, {"all", 1}} {
		b.Run("10MiB/"+c.name, func(b *testing.B) {
			w, tracker := tracked(b)
			if err := w.Populate(0, pages*pageBytes); err != nil {
				b.Fatal(err)
			}
			f := follow(b, w, tracker, 0, pages*pageBytes)
			f.changes = make([]dirty.Change, 0, pages)
			f.scan(b)
			for b.Loop() {
				if c.every > 0 {
					b.StopTimer()
					for page := 0; page < pages; page += c.every {
						w.bytes[page*pageBytes]++
					}
					b.StartTimer()
				}
				var err error
				if f.changes, err = tracker.Scan(0, f.n, f.changes[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTrack is what it costs to begin with an arena and to let it go.
func BenchmarkTrack(b *testing.B) {
	w, tracker := tracked(b)
	const n = 2560 * pageBytes
	if err := w.Populate(0, n); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := tracker.Track(0, n); err != nil {
			b.Fatal(err)
		}
		if err := tracker.Untrack(0, n); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMove moves 1 MiB to another slot, by pages and by copying.
func BenchmarkMove(b *testing.B) {
	for _, mayMove := range []bool{true, false} {
		name := "copied"
		if mayMove {
			name = "moved"
		}
		b.Run("1MiB/"+name, func(b *testing.B) {
			w := window(b)
			w.user.mayMove = w.user.mayMove && mayMove
			const n = 1 << 20
			if err := w.Populate(0, n); err != nil {
				b.Fatal(err)
			}
			src, dst := int64(0), int64(8<<20)
			for b.Loop() {
				if err := w.Move(dst, src, n); err != nil {
					b.Fatal(err)
				}
				src, dst = dst, src
			}
		})
	}
}
