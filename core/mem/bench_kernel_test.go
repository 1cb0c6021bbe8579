package mem

import (
	"testing"
	"time"

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
	var spent time.Duration // stopping the benchmark's own clock would empty the caches
	n := 0
	for b.Loop() {
		f.scan(b)
		began := time.Now()
		for page := range pages {
			w.bytes[page*pageBytes]++
		}
		spent += time.Since(began)
		n += pages
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(n), "ns/write")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFirstTouch is the peer of BenchmarkFirstWrite: a fault that nobody tracks, of a page that
// was not there. Where faults are expensive, as on machines without PCID, both are.
func BenchmarkFirstTouch(b *testing.B) {
	w := window(b)
	const pages = 2560
	var spent time.Duration
	n := 0
	for b.Loop() {
		if err := w.Drop(0, pages*pageBytes); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		for page := range pages {
			w.bytes[page*pageBytes]++
		}
		spent += time.Since(began)
		n += pages
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(n), "ns/write")
	b.ReportMetric(0, "ns/op")
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
			var spent time.Duration
			n := 0
			for b.Loop() {
				if c.every > 0 {
					for page := 0; page < pages; page += c.every {
						w.bytes[page*pageBytes]++
					}
				}
				began := time.Now()
				var err error
				if f.changes, err = tracker.Scan(0, f.n, f.changes[:0]); err != nil {
					b.Fatal(err)
				}
				spent += time.Since(began)
				n++
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(n), "ns/op")
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
