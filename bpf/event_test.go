package bpf

import "testing"

func TestEventParse(t *testing.T) {
	record := make([]byte, metaBytes+8) // 5 captured bytes, padded to 8
	record[0], record[8], record[12], record[16], record[20], record[24] = 1, 2, 4, 3, 60, 5
	copy(record[metaBytes:], "frame")
	var e Event
	if err := e.parse(record); err != nil {
		t.Fatal(err)
	}
	if e.Time != 1 || e.Queue != 2 || e.Verdict != VerdictRedirect || e.Reason != NoSocket ||
		e.Length != 60 || string(e.Data) != "frame" {
		t.Errorf("%+v", e)
	}
	for _, short := range [][]byte{nil, record[:metaBytes-1], record[:metaBytes+4]} {
		if err := e.parse(short); err == nil {
			t.Errorf("record of %d bytes was accepted", len(short))
		}
	}
}
