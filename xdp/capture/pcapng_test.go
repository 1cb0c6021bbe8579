package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

func samplePackets() []packet {
	return []packet{
		{
			time: 1_700_000_000_123_456_789, length: 60, data: bytes.Repeat([]byte{1}, 60), queue: 3,
			verdict: 4, comment: "taken_udp4",
		},
		{
			time: 1_700_000_001_000_000_001, length: 9014, data: bytes.Repeat([]byte{2}, 101),
			verdict: 2, comment: "passed_port",
		},
		{
			time: 1_700_000_001_000_000_002, length: 14, data: []byte{3}, queue: 1<<32 - 1,
			verdict: 1<<64 - 1,
		},
		{time: 1_700_000_001_000_000_003, length: 0, data: nil},
	}
}

func writeSample(t *testing.T) []byte {
	t.Helper()
	var file bytes.Buffer
	w := writer{out: &file}
	if err := w.header("veth0", 9216); err != nil {
		t.Fatal(err)
	}
	for _, p := range samplePackets() {
		if err := w.packet(&p); err != nil {
			t.Fatal(err)
		}
	}
	end := statistics{
		start: 1_700_000_000_000_000_007, end: 1_700_000_002_000_000_009,
		received: 11, lost: 7,
	}
	if err := w.statistics(end); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// gopacket reads back what was written.
func TestFileReadBack(t *testing.T) {
	r, err := pcapgo.NewNgReader(bytes.NewReader(writeSample(t)), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	if app := r.SectionInfo().Application; app != "dunlin" {
		t.Errorf("application %q", app)
	}
	if r.LinkType() != layers.LinkTypeEthernet {
		t.Errorf("link type %v", r.LinkType())
	}
	for i, want := range samplePackets() {
		data, info, err := r.ReadPacketData()
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		if !bytes.Equal(data, want.data) || info.Length != want.length ||
			info.CaptureLength != len(want.data) || info.InterfaceIndex != 0 {
			t.Errorf("packet %d: %+v, %d bytes", i, info, len(data))
		}
		if got := uint64(info.Timestamp.UnixNano()); got != want.time {
			t.Errorf("packet %d: time %d, want %d", i, got, want.time)
		}
	}
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last packet: %v", err)
	}
	if r.NInterfaces() != 1 {
		t.Fatalf("%d interfaces", r.NInterfaces())
	}
	about, err := r.Interface(0)
	if err != nil {
		t.Fatal(err)
	}
	if about.Name != "veth0" || about.SnapLength != 9216 || about.TimestampResolution != 9 {
		t.Errorf("interface %+v", about)
	}
	s := about.Statistics
	if s.PacketsReceived != 11 || s.PacketsDropped != 7 {
		t.Errorf("statistics %+v", s)
	}
	if !s.StartTime.Equal(time.Unix(1_700_000_000, 7)) ||
		!s.EndTime.Equal(time.Unix(1_700_000_002, 9)) {
		t.Errorf("capture from %v to %v", s.StartTime, s.EndTime)
	}
}

// Options that gopacket does not read, and the framing of every block, byte by byte.
func TestFileOptions(t *testing.T) {
	blocks := split(t, writeSample(t))
	var kinds []uint32
	for _, b := range blocks {
		kinds = append(kinds, b.kind)
	}
	want := []uint32{0x0a0d0d0a, 1, 6, 6, 6, 6, 5}
	if len(kinds) != len(want) {
		t.Fatalf("blocks %x", kinds)
	}
	for i, p := range samplePackets() {
		b := blocks[2+i]
		padded := (len(p.data) + 3) / 4 * 4
		expected := map[uint16][]byte{
			2: {1, 0, 0, 0}, // epb_flags: inbound
			6: binary.LittleEndian.AppendUint32(nil, p.queue),
			7: binary.LittleEndian.AppendUint64([]byte{2}, p.verdict), // of an XDP program
		}
		if p.comment != "" {
			expected[1] = []byte(p.comment)
		}
		got := options(t, b.body[20+padded:])
		for code, value := range expected {
			if !bytes.Equal(got[code], value) {
				t.Errorf("packet %d: option %d is %x, want %x", i, code, got[code], value)
			}
		}
		if len(got) != len(expected) {
			t.Errorf("packet %d: options %v", i, got)
		}
		for _, pad := range b.body[20+len(p.data) : 20+padded] {
			if pad != 0 {
				t.Errorf("packet %d: padding %x", i, pad)
			}
		}
	}
}

type block struct {
	kind uint32
	body []byte
}

func split(t *testing.T, file []byte) (blocks []block) {
	t.Helper()
	for len(file) > 0 {
		if len(file) < 12 {
			t.Fatalf("%d stray bytes", len(file))
		}
		length := int(binary.LittleEndian.Uint32(file[4:]))
		if length%4 != 0 || length < 12 || length > len(file) {
			t.Fatalf("block of %d bytes, %d left", length, len(file))
		}
		if again := int(binary.LittleEndian.Uint32(file[length-4:])); again != length {
			t.Fatalf("block of %d bytes ends as one of %d", length, again)
		}
		blocks = append(blocks, block{binary.LittleEndian.Uint32(file), file[8 : length-4]})
		file = file[length:]
	}
	return blocks
}

func options(t *testing.T, b []byte) map[uint16][]byte {
	t.Helper()
	found := map[uint16][]byte{}
	for {
		if len(b) < 4 {
			t.Fatal("options without an end")
		}
		code, length := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if code == 0 {
			if length != 0 || len(b) != 4 {
				t.Fatalf("end of options: %x", b)
			}
			return found
		}
		found[code] = b[4 : 4+length]
		b = b[4+(length+3)/4*4:]
	}
}

func TestFilePacketAllocates(t *testing.T) {
	w := writer{out: io.Discard}
	p := samplePackets()[1]
	if err := w.packet(&p); err != nil { // the block's memory grows once
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(100, func() {
		if err := w.packet(&p); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

type brokenPipe struct{}

var errBroken = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func TestFileBroken(t *testing.T) {
	w := writer{out: brokenPipe{}}
	p := samplePackets()[0]
	for _, err := range []error{w.header("x", 1), w.packet(&p), w.statistics(statistics{})} {
		if !errors.Is(err, errBroken) {
			t.Errorf("%v", err)
		}
	}
}
