package capture

import (
	"encoding/binary"
	"io"
)

// Blocks and options of pcapng, all numbers from draft-ietf-opsawg-pcapng. Every block is
//
//	type u32 | total length u32 | body, padded to 4 | total length u32
//
// and ends its body with options, each code u16 | length u16 | value, padded to 4.
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockStatistics = 5
	blockPacket     = 6

	byteOrderMagic    = 0x1a2b3c4d
	versionMajor      = 1
	lengthUnknown     = 1<<64 - 1 // of a section: it ends with the file
	linkEthernet      = 1
	nanoseconds       = 9 // decimal digits after the second
	directionInbound  = 1
	verdictXDP        = 2 // a Linux eBPF XDP return code follows as u64
	optionEnd         = 0
	optionComment     = 1
	sectionApp        = 4
	interfaceName     = 2
	interfaceTime     = 9
	packetFlags       = 2
	packetQueue       = 6
	packetVerdict     = 7
	statisticsStart   = 2
	statisticsEnd     = 3
	statisticsRecv    = 4
	statisticsDropped = 5
)

// A packet is one frame as it goes into the file.
type packet struct {
	time    uint64 // ns since 1970
	length  int    // bytes of the whole frame
	data    []byte // its first bytes
	queue   uint32 // receive queue it came in on
	verdict uint64 // what the XDP program returned
	comment string // shown beside it; may be empty
}

// statistics end a file.
type statistics struct {
	start, end     uint64 // ns since 1970
	received, lost uint64 // frames; received counts the lost ones too
}

// writer writes one pcapng section with one Ethernet interface, a block with each call. Words are
// little-endian on every machine: the format allows either.
type writer struct {
	out   io.Writer
	block []byte // the block that is being built; its memory is used again
}

// header begins the section and describes the interface. snapLen bounds the bytes kept of a frame.
func (w *writer) header(interfaceNamed string, snapLen int) error {
	w.begin(blockSection)
	w.u32(byteOrderMagic)
	w.u16(versionMajor)
	w.u16(0) // minor
	w.u64(lengthUnknown)
	w.option(sectionApp, []byte("dunlin"))
	if err := w.end(); err != nil {
		return err
	}

	w.begin(blockInterface)
	w.u16(linkEthernet)
	w.u16(0) // reserved
	w.u32(uint32(snapLen))
	w.option(interfaceName, []byte(interfaceNamed))
	w.option(interfaceTime, []byte{nanoseconds})
	return w.end()
}

func (w *writer) packet(p *packet) error {
	w.begin(blockPacket)
	w.u32(0) // the first and only interface
	w.time(p.time)
	w.u32(uint32(len(p.data)))
	w.u32(uint32(p.length))
	w.bytes(p.data)
	w.optionHead(packetFlags, 4)
	w.u32(directionInbound)
	w.optionHead(packetQueue, 4)
	w.u32(p.queue)
	w.optionHead(packetVerdict, 1+8)
	w.block = append(w.block, verdictXDP)
	w.u64(p.verdict)
	w.pad()
	if p.comment != "" {
		w.optionHead(optionComment, len(p.comment))
		w.block = append(w.block, p.comment...)
		w.pad()
	}
	return w.end()
}

func (w *writer) statistics(s statistics) error {
	w.begin(blockStatistics)
	w.u32(0) // the first and only interface
	w.time(s.end)
	w.optionHead(statisticsStart, 8)
	w.time(s.start)
	w.optionHead(statisticsEnd, 8)
	w.time(s.end)
	w.optionHead(statisticsRecv, 8)
	w.u64(s.received)
	w.optionHead(statisticsDropped, 8)
	w.u64(s.lost)
	return w.end()
}

func (w *writer) u16(v uint16) { w.block = binary.LittleEndian.AppendUint16(w.block, v) }
func (w *writer) u32(v uint32) { w.block = binary.LittleEndian.AppendUint32(w.block, v) }
func (w *writer) u64(v uint64) { w.block = binary.LittleEndian.AppendUint64(w.block, v) }

// time is a u64 with its upper half first.
func (w *writer) time(ns uint64) {
	w.u32(uint32(ns >> 32))
	w.u32(uint32(ns))
}

func (w *writer) bytes(b []byte) {
	w.block = append(w.block, b...)
	w.pad()
}

func (w *writer) pad() {
	for len(w.block)%4 != 0 {
		w.block = append(w.block, 0)
	}
}

func (w *writer) optionHead(code uint16, length int) {
	w.u16(code)
	w.u16(uint16(length))
}

func (w *writer) option(code uint16, value []byte) {
	w.optionHead(code, len(value))
	w.bytes(value)
}

func (w *writer) begin(block uint32) {
	w.block = w.block[:0]
	w.u32(block)
	w.u32(0) // the length, known at the end
}

// end closes the options, fills in both lengths and writes the block.
func (w *writer) end() error {
	w.optionHead(optionEnd, 0)
	length := uint32(len(w.block) + 4)
	w.u32(length)
	binary.LittleEndian.PutUint32(w.block[4:], length)
	_, err := w.out.Write(w.block)
	return err
}
