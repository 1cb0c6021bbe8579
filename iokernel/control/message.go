package control

import (
	"fmt"
	"net/netip"

	"github.com/dunlin-io/dunlin/core"
)

// Mode is how a runtime is attached.
type Mode string

const (
	Mediated Mode = "mediated" // port rings to the iokernel
	Direct   Mode = "direct"   // AF_XDP sockets of its own
	Guest    Mode = "guest"    // no frames: an ordinary program on cores that others leave
)

// Hello asks to attach.
type Hello struct {
	Runtime string `json:"runtime"` // its name in the iokernel's configuration
	Mode    Mode   `json:"mode"`
	// Endpoints are what the runtime needs; it is refused unless its configuration has each.
	// Without any it takes what there is.
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	// Cores is how many cores the runtime wants at least to be able to get; it is refused if its
	// configuration has fewer. 0 takes what there is.
	Cores int `json:"cores,omitempty"`
}

// Endpoint is an EtherType, or a UDP port at one address (of the interface) or at all.
type Endpoint struct {
	EtherType uint16     `json:"ethertype,omitempty"`
	UDP       uint16     `json:"udp,omitempty"`
	Address   netip.Addr `json:"address,omitzero"`
}

func (e Endpoint) String() string {
	switch {
	case e.EtherType != 0:
		return fmt.Sprintf("EtherType 0x%04X", e.EtherType)
	case e.Address.IsValid():
		return fmt.Sprintf("UDP %v", netip.AddrPortFrom(e.Address, e.UDP))
	}
	return fmt.Sprintf("UDP port %d", e.UDP)
}

// MAC is an Ethernet address.
type MAC [6]byte

// String gives the form 02:00:00:00:00:01.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// MarshalText is for JSON.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is for JSON; it takes what MarshalText gives.
func (m *MAC) UnmarshalText(text []byte) error {
	var got MAC
	n, err := fmt.Sscanf(string(text), "%2x:%2x:%2x:%2x:%2x:%2x",
		&got[0], &got[1], &got[2], &got[3], &got[4], &got[5])
	if err != nil || n != len(got) || got.String() != string(text) {
		return fmt.Errorf("control: %q is no MAC address like 02:00:00:00:00:01", text)
	}
	*m = got
	return nil
}

// Grant is what an attached runtime has. The files come beside it.
type Grant struct {
	Runtime   string        `json:"runtime"`
	Mode      Mode          `json:"mode"`
	Interface Interface     `json:"interface"`
	Workers   []WorkerGrant `json:"workers"`
	Endpoints []Endpoint    `json:"endpoints"`
	Layout    Layout        `json:"layout"`
	// VerifyChecksums says that the worker shall check IP and UDP checksums.
	VerifyChecksums bool `json:"verify_checksums"`
	// Spin is how long an idle worker polls before it sleeps, in ns; negative: it never sleeps.
	Spin core.Time `json:"spin_ns"`
	// Direct is set in that mode.
	Direct *DirectGrant `json:"direct,omitempty"`
	// Loan is set where the cores that the workers run on come and go.
	Loan *LoanGrant `json:"loan,omitempty"`
	// FDs names the files, in their order: FileMemory, FileDoorbell, then FileWorker(k), and in
	// direct mode FileSocket(k), for each worker. With a Loan there are no files of workers, but
	// FileBaton and FileLoad; a guest has none.
	FDs []string `json:"fds"`
}

// Names of files in a Grant.
const (
	FileMemory   = "memory"   // the sealed memfd that Layout divides
	FileDoorbell = "doorbell" // eventfd, this runtime's alone: it wakes the iokernel
	FileBaton    = "baton"    // the baton page, for reading
	FileLoad     = "load"     // this runtime's load page: a line for each worker
)

// FileWorker is the name of what the iokernel wakes a worker by: the far end of a pin.Bell.
func FileWorker(worker int) string { return fmt.Sprintf("worker%d", worker) }

// FileSocket is the name of the AF_XDP socket of a worker in direct mode.
func FileSocket(worker int) string { return fmt.Sprintf("xsk%d", worker) }

// Interface is the network interface that the iokernel serves.
type Interface struct {
	Name      string         `json:"name"`
	Index     int            `json:"index"`
	MAC       MAC            `json:"mac"`
	MTU       int            `json:"mtu"` // bytes, without the Ethernet header
	Addresses []netip.Prefix `json:"addresses"`
}

// WorkerGrant is one worker's place.
type WorkerGrant struct {
	Worker int `json:"worker"`
	CPU    int `json:"cpu"`   // to pin to
	Core   int `json:"core"`  // with a Loan: its line on the baton page; -1 otherwise
	Queue  int `json:"queue"` // of the interface, direct mode; -1 otherwise
}

// Layout sizes the shared memory; package dataplane divides it.
type Layout struct {
	Workers     int    `json:"workers"`
	RingEntries uint32 `json:"ring_entries"` // of each of a port's rings
	ChunkBytes  int    `json:"chunk_bytes"`
	Chunks      int    `json:"chunks"`
	Bytes       uint64 `json:"bytes"` // of everything
}

// DirectGrant is what a runtime must know of AF_XDP sockets that somebody else opened. Their frame
// memory (UMEM) is the frame memory of the Layout, address 0 at its start.
type DirectGrant struct {
	FillEntries       uint32 `json:"fill_entries"`
	CompletionEntries uint32 `json:"completion_entries"`
	RxEntries         uint32 `json:"rx_entries"`
	TxEntries         uint32 `json:"tx_entries"`
	HeadroomBytes     uint32 `json:"headroom_bytes"` // before each received frame
	ZeroCopy          bool   `json:"zero_copy"`
	NeedWakeup        bool   `json:"need_wakeup"`
	MultiBuffer       bool   `json:"multi_buffer"` // packets may span several frames
}

// Neigh asks for the MAC address behind an IP address: the neighbour's, or the gateway's.
type Neigh struct {
	Addr netip.Addr `json:"addr"`
}

// NeighReply answers Neigh.
type NeighReply struct {
	Addr  netip.Addr `json:"addr"`
	MAC   MAC        `json:"mac"`
	Found bool       `json:"found"`
}

// StatusRequest asks for a Status.
type StatusRequest struct{}

// Status says what an iokernel does, for people and tools; metrics say more.
type Status struct {
	Build     string            `json:"build"` // version of the program
	Interface Interface         `json:"interface"`
	XDP       string            `json:"xdp"` // mode, and the reason of each fall-back
	Queues    []int             `json:"queues"`
	CPU       int               `json:"cpu"`
	Uptime    core.Time         `json:"uptime_ns"`
	Counters  map[string]uint64 `json:"counters"` // those that are not 0
	Runtimes  []RuntimeStatus   `json:"runtimes"` // all of the configuration
}

// RuntimeStatus is one runtime of a Status.
type RuntimeStatus struct {
	Name     string            `json:"name"`
	Mode     Mode              `json:"mode,omitempty"` // empty: not attached
	PID      int               `json:"pid,omitempty"`
	UID      uint32            `json:"uid,omitempty"`
	Workers  []WorkerGrant     `json:"workers,omitempty"`
	Counters map[string]uint64 `json:"counters,omitempty"` // those that are not 0
}

// Evicted is the last message to a runtime that loses what it was granted.
type Evicted struct {
	Reason string `json:"reason"`
}

// Error makes an Evicted the reason why a Client ended.
func (e *Evicted) Error() string { return "control: evicted by the iokernel: " + e.Reason }

// Code says in one word why a request was refused.
type Code string

const (
	CodeMalformed Code = "malformed" // not a message
	CodeVersion   Code = "version"   // a message of another version
	CodeOversize  Code = "oversize"  // more than MaxMessageBytes
	CodeFiles     Code = "files"     // with files, which only the iokernel sends
	CodeSilent    Code = "silent"    // no message in time
	CodeOrder     Code = "order"     // not now: attached already, or not yet
	CodeDenied    Code = "denied"    // not this user, or not this
	CodeBusy      Code = "busy"      // somebody else has it
	CodeInternal  Code = "internal"  // the iokernel failed
)

// Refusal answers what cannot be granted; a Handler returns one to choose the Code.
type Refusal struct {
	Code    Code   `json:"code"`
	Message string `json:"message"` // what is wrong and what to do
	// Final says that the connection ends with it. The server sets it.
	Final bool `json:"final,omitempty"`
}

func (r *Refusal) Error() string { return fmt.Sprintf("control: %s (%s)", r.Message, r.Code) }

// Refuse makes a Refusal.
func Refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}
