package bpf

import (
	"testing"

	"github.com/cilium/ebpf"
)

// What a program costs per frame, without the driver and without the redirect that a verdict asks
// for: the kernel runs it b.N times over one frame in its cache and takes the time.
func BenchmarkPrograms(b *testing.B) {
	newBench(b)
	s := newSteer(b, false)
	r, err := LoadRedirect(benchQueues, false)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	addSocket(b, r.Sockets(), 0)
	udp4 := udp4Frame(b, 18)
	for _, c := range []struct {
		name    string
		program *ebpf.Program
		frame   []byte
	}{
		{"redirect", r.Program(), udp4},
		{"steer/ethertype", s.Program(), rawFrame(b, 50)},
		{"steer/udp4", s.Program(), udp4},
		{"steer/udp6", s.Program(), udp6Frame(b, 18)},
		{"steer/other_port", s.Program(), patched16(udp4, atUDP4+2, 99)},
		{"steer/tcp", s.Program(), patched(udp4, atProto4, 6)},
		{"steer/arp", s.Program(), patched16(udp4, atType, 0x0806)},
	} {
		b.Run(c.name, func(b *testing.B) {
			verdict, took, err := c.program.Benchmark(c.frame, b.N, b.ResetTimer)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(took.Nanoseconds()), "ns/frame")
			b.ReportMetric(float64(verdict), "verdict")
		})
	}
}
