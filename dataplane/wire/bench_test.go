package wire

import (
	"fmt"
	"testing"
)

func BenchmarkSum(b *testing.B) {
	for _, n := range []int{8, 20, 28, 64, 1400, 9000} {
		b.Run(fmt.Sprintf("bytes=%d", n), func(b *testing.B) {
			data := pattern(n)
			b.SetBytes(int64(n))
			var s Sum
			for b.Loop() {
				s.Add(data)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	udp4, _ := udpPacket(&flow4, pattern(22))
	udp6, _ := udpPacket(&flow6, pattern(22))
	raw := rawPacket(pattern(50))
	for i, data := range [][]byte{raw, udp4, udp6} {
		b.Run([]string{"raw", "udp4", "udp6"}[i], func(b *testing.B) {
			for b.Loop() {
				if _, reason := Parse(data, len(data)); reason != OK {
					b.Fatal(reason)
				}
			}
		})
	}
}

func BenchmarkTurn(b *testing.B) {
	udp4, p4 := udpPacket(&flow4, pattern(22))
	for b.Loop() {
		Turn(udp4, p4)
	}
}

func BenchmarkFlowHash(b *testing.B) {
	udp4, p4 := udpPacket(&flow4, pattern(22))
	udp6, p6 := udpPacket(&flow6, pattern(22))
	b.Run("udp4", func(b *testing.B) {
		for b.Loop() {
			FlowHash(udp4, p4)
		}
	})
	b.Run("udp6", func(b *testing.B) {
		for b.Loop() {
			FlowHash(udp6, p6)
		}
	})
}

func BenchmarkPutUDP4(b *testing.B) {
	data := make([]byte, UDP4Bytes)
	for b.Loop() {
		PutUDP4(data, &flow4, 22)
	}
}

func BenchmarkUpdateUDPChecksum(b *testing.B) {
	for _, n := range []int{22, 1400} {
		b.Run(fmt.Sprintf("payload=%d", n), func(b *testing.B) {
			data, p := udpPacket(&flow4, pattern(n))
			for b.Loop() {
				UpdateUDPChecksum(data, p)
			}
		})
	}
}
