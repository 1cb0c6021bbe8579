package page

import (
	"math/rand/v2"
	"testing"
)

// benchSet is pages, their shadows and their encodings: 1 MiB of pages, which the second-level
// cache of most machines nearly holds.
type benchSet struct {
	pages, shadows []Page
	stream         []byte
}

func newBenchSet(c change) *benchSet {
	const pages = 256
	random := rand.New(rand.NewPCG(1, 2))
	s := &benchSet{
		pages: make([]Page, pages), shadows: make([]Page, pages),
		stream: make([]byte, 0, pages*MaxRecordBytes),
	}
	for i := range s.pages {
		s.shadows[i] = heapPage(random)
		s.pages[i] = s.shadows[i]
		c.make(random, &s.pages[i])
		s.stream, _, _ = Append(s.stream, uint64(i), &s.pages[i], &s.shadows[i])
	}
	return s
}

// BenchmarkEncode reports page bytes per second, and encoded bytes for each page, header included.
func BenchmarkEncode(b *testing.B) {
	for _, c := range heapChanges() {
		b.Run(c.name, func(b *testing.B) {
			s := newBenchSet(c)
			dst := make([]byte, 0, cap(s.stream))
			b.SetBytes(int64(len(s.pages) * Bytes))
			for b.Loop() {
				dst = dst[:0]
				for i := range s.pages {
					dst, _, _ = Append(dst, uint64(i), &s.pages[i], &s.shadows[i])
				}
			}
			b.ReportMetric(float64(len(dst))/float64(len(s.pages)), "B/page")
		})
	}
}

// BenchmarkApply checks and decodes the stream.
func BenchmarkApply(b *testing.B) {
	for _, c := range heapChanges() {
		b.Run(c.name, func(b *testing.B) {
			s := newBenchSet(c)
			memory := make([]byte, len(s.pages)*Bytes)
			b.SetBytes(int64(len(memory)))
			for b.Loop() {
				if _, err := Apply(memory, s.stream); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCopy is the floor: what sending all pages raw costs at least.
func BenchmarkCopy(b *testing.B) {
	s := newBenchSet(heapChanges()[0])
	b.SetBytes(int64(len(s.pages) * Bytes))
	for b.Loop() {
		copy(s.shadows, s.pages)
	}
}

func BenchmarkIsZero(b *testing.B) {
	pages := make([]Page, 256)
	b.SetBytes(int64(len(pages) * Bytes))
	for b.Loop() {
		for i := range pages {
			if !IsZero(&pages[i]) {
				b.Fatal("not zero")
			}
		}
	}
}
