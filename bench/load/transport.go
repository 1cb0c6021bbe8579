package load

import "math"

// Transport carries requests to the other side and brings replies back. It makes the bytes of a
// request from its number, and finds the number again in those of a reply. It belongs to the thread
// of the generator that uses it.
type Transport interface {
	// SetBytes sets the size of the frames of later requests. Between runs only.
	SetBytes(frame int) error
	// Send hands over the requests numbered from seq on and returns how many of the n it took.
	Send(seq uint64, n int) int
	// Recv stores the numbers of replies that have arrived and returns how many; Damaged for one
	// whose bytes are not those of any request. What belongs to somebody else it leaves out.
	Recv(dst []uint64) int
}

// Damaged is the number of a reply with the wrong bytes. No request has it.
const Damaged uint64 = math.MaxUint64

// burst is the most replies taken or requests sent in one turn: what one system call sends at most.
const burst = 64
