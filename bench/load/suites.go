package load

import (
	"context"

	"github.com/dunlin-io/dunlin/bench/report"
)

// Sizes of frames in bytes: the least that carries anything, and what one Ethernet frame can hold
// of a stream, almost.
const (
	smallFrame = 64
	largeFrame = 1400
)

// Latency measures round trips of all contestants, in closed and open loop, with small and large
// frames, and the bytes per second of TCP with and without an XDP program on its interface.
func Latency(ctx context.Context, o Options) (*Session, error) {
	return bench(ctx, o, latencySuite(o.Rate))
}

func latencySuite(rate uint64) suite {
	names := []string{
		nameFloor, nameDirect, nameMediated, nameMediatedUDP, nameBinary, nameAsavie, nameSpin,
		nameBlock, nameGo, nameSpinBeside,
	}
	s := suite{name: "latency"}
	for _, loop := range []report.Loop{report.Closed, report.Open} {
		for _, frame := range []int{smallFrame, largeFrame} {
			for _, name := range names {
				k := report.Key{Name: name, Loop: loop, Bytes: frame, Unit: report.Nanoseconds}
				if loop == report.Open {
					k.Rate = rate
				}
				s.rows = append(s.rows, wanted{key: k})
			}
		}
	}
	for _, name := range []string{nameTCP, nameTCPBeside} {
		s.rows = append(s.rows, wanted{key: report.Key{
			Name: name, Loop: report.Stream,
			Bytes: streamBytes, Unit: report.Bytes,
		}})
	}
	none := report.Goal{}
	s.comparisons = []comparison{
		{nameDirect, nameFloor, report.P50, report.Goal{AtMost: 1.10}, quotient},
		{nameDirect, nameFloor, report.P99, report.Goal{AtMost: 1.5}, quotient},
		{nameMediated, nameFloor, report.P50, report.Goal{AtMost: 1.20}, quotient},
		{nameMediated, nameFloor, report.P99, report.Goal{AtMost: 1.5}, quotient},
		{nameSpin, nameMediatedUDP, report.P50, report.Goal{AtLeast: 1.25}, quotient},
		{nameBlock, nameMediatedUDP, report.P50, report.Goal{AtLeast: 10}, quotient},
		{nameGo, nameMediatedUDP, report.P50, report.Goal{AtLeast: 10}, quotient},
		{nameAsavie, nameFloor, report.P50, none, quotient},
		{nameBinary, nameFloor, report.P50, none, quotient},
		{nameSpinBeside, nameSpin, report.P50, none, quotient},
		{nameTCPBeside, nameTCP, report.P50, none, quotient},
	}
	return s
}

// Throughput measures how many small frames per second one worker answers, with a full window of
// requests outstanding.
func Throughput(ctx context.Context, o Options) (*Session, error) {
	return bench(ctx, o, throughputSuite(o.Window))
}

func throughputSuite(window int) suite {
	s := suite{name: "throughput"}
	for _, name := range []string{nameFloor, nameDirect, nameMediated, nameAsavie, nameBatch} {
		s.rows = append(s.rows, wanted{window: window, key: report.Key{
			Name: name,
			Loop: report.Window, Bytes: smallFrame, Unit: report.Frames,
		}})
	}
	s.comparisons = []comparison{
		{nameDirect, nameFloor, report.P50, report.Goal{AtLeast: 0.9}, quotient},
		{nameMediated, nameDirect, report.P50, report.Goal{AtLeast: 0.6}, quotient},
		{nameAsavie, nameFloor, report.P50, report.Goal{}, quotient},
		{nameMediated, nameBatch, report.P50, report.Goal{}, quotient},
	}
	return s
}
