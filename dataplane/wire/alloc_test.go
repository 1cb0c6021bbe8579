package wire

import "testing"

func TestHotPathAllocatesNothing(t *testing.T) {
	b4, p4 := udpPacket(&flow4, pattern(1400))
	b6, p6 := udpPacket(&flow6, pattern(1400))
	raw := rawPacket(pattern(60))
	more := [][]byte{b4[100:500], b4[500:]}
	var sink uint32
	calls := map[string]func(){
		"Parse": func() {
			Parse(b4, len(b4))
			Parse(b6, len(b6))
			Parse(raw, len(raw))
		},
		"Turn":          func() { Turn(b4, p4); Turn(b6, p6) },
		"SetUDPLengths": func() { SetUDPLengths(b4, p4, 1400); SetUDPLengths(b6, p6, 1400) },
		"PutUDP":        func() { PutUDP(b4, &flow4, 1400); PutUDP(b6, &flow6, 1400) },
		"FlowHash":      func() { sink += FlowHash(b4, p4) + FlowHash(b6, p6) },
		"FlowOf": func() {
			f := FlowOf(b6, p6)
			f = f.Turned()
			sink += uint32(f.Src.Port)
		},
		"checksums": func() {
			UpdateUDPChecksum(b6, p6)
			UpdateUDPChecksum(b4[:100], p4, more...)
			UpdateUDPChecksum(b4[:100], p4, b4[100:500], b4[500:])
			if !VerifyUDP(b6, p6) || !VerifyUDP(b4[:100], p4, more...) {
				t.Error("checksum")
			}
		},
	}
	for name, call := range calls {
		if n := testing.AllocsPerRun(100, call); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	_ = sink
}
