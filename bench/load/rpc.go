package load

import (
	"context"
	"fmt"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
)

// Calls and remote writes between two runtimes, beside what they are made of and beside others.
//
//	floor/raw             two bare AF_XDP sockets in ping-pong
//	aead/64               two seals and two opens, of the frames that a call of 64 B has
//	rpc/64/encrypted      a call between ends that own a NIC queue, the server a process
//	rpc/64/mediated       the same behind an iokernel, at the server's end
//	tcp, quic, grpc       the same call by others, a process at each end
//	bulk/9000             remote writes at that MTU, in B/s that have been written
//	floor/bulk/9000       frames of that size between two AF_XDP sockets
//	floor/.../copied      the same, and the bytes are copied in and out once
//	aead/bulk/9000        sealing frames of that size
//	goodput/1             bulk at MTU 1500 through the wire box, which loses 1 % of the frames
//	rpc/64/beside-bulk    calls in the session in which remote writes fill the link
const (
	nameRPC      = "rpc/64/encrypted"
	namePlain    = "rpc/64/insecure"
	nameRPCLong  = "rpc/1024/encrypted"
	nameLong     = "rpc/1024/insecure"
	nameRPCMed   = "rpc/64/mediated"
	nameBeside   = "rpc/64/beside-bulk"
	nameAEAD     = "aead/64"
	nameAEADBulk = "aead/bulk/9000"
	nameRPCTCP   = "tcp/64"
	nameQUIC     = "quic/64"
	nameGRPC     = "grpc/64"
	nameBulk     = "bulk/9000"
	nameBulkLow  = "bulk/9000/insecure"
	nameBulk1500 = "bulk/1500"
	nameBulkBare = "floor/bulk/9000"

	nameBulkCopied = "floor/bulk/9000/copied"
)

// Sizes of calls in bytes of data, and of what is written remotely at once.
const (
	smallCall  = 64
	longCall   = 1024
	writeBytes = 256 << 10
	jumboMTU   = 9000
	plainMTU   = 1500
)

// RPC measures calls and remote writes between two runtimes, encrypted and not, beside the raw
// socket, the cipher, TCP, QUIC and gRPC.
func RPC(ctx context.Context, o Options) (*Session, error) {
	return bench(ctx, o, rpcSuite(o.Rate, o.Window))
}

func rpcSuite(rate uint64, window int) suite {
	s := suite{name: "rpc"}
	add := func(name string, l report.Loop, bytes, window int) {
		unit := report.Nanoseconds
		switch l {
		case report.Stream:
			unit = report.Bytes
		case report.Window:
			unit = report.Frames
		}
		k := report.Key{Name: name, Loop: l, Bytes: bytes, Unit: unit}
		if l == report.Open {
			k.Rate = rate
		}
		s.rows = append(s.rows, wanted{window: window, key: k})
	}
	for _, name := range []string{
		nameFloor, nameAEAD, nameRPC, namePlain, nameRPCMed, nameRPCTCP, nameQUIC, nameGRPC,
		nameBeside,
	} {
		add(name, report.Closed, smallCall, 0)
	}
	for _, name := range []string{nameRPCLong, nameLong} {
		add(name, report.Closed, longCall, 0)
	}
	for _, name := range []string{nameRPC, namePlain} {
		add(name, report.Open, smallCall, 0)
		add(name, report.Window, smallCall, window)
	}
	for _, name := range []string{
		nameBulk, nameBulkLow, nameBulkBare, nameBulkCopied, nameAEADBulk,
	} {
		add(name, report.Stream, jumboMTU, 0)
	}
	add(nameBulk1500, report.Stream, plainMTU, 0)
	for _, l := range losses {
		add(l.name, report.Stream, plainMTU, 0)
	}

	none := report.Goal{}
	s.comparisons = []comparison{
		{nameRPC, nameFloor, report.P50, report.Goal{AtMost: 1.6}, quotient},
		{nameRPCMed, nameFloor, report.P50, none, quotient},
		{nameGRPC, nameRPC, report.P50, report.Goal{AtLeast: 15}, quotient},
		{nameRPCTCP, nameRPC, report.P50, none, quotient},
		{nameQUIC, nameRPC, report.P50, none, quotient},
		{nameBulkLow, nameBulkBare, report.P50, report.Goal{AtLeast: 0.8}, quotient},
		{nameBulkLow, nameBulkCopied, report.P50, none, quotient},
		{nameBulkCopied, nameBulkBare, report.P50, none, quotient},
	}
	for _, l := range losses[1:] {
		s.comparisons = append(s.comparisons,
			comparison{l.name, losses[0].name, report.P50, none, quotient})
	}
	s.combined = rpcCombined()
	return s
}

// rpcCombined compares with what several rows say together.
func rpcCombined() []combination {
	return []combination{
		{
			fmt.Sprintf("%s:(%s + %s)", nameRPC, namePlain, nameAEAD), report.P50,
			[]string{nameRPC, namePlain, nameAEAD},
			report.Goal{AtMost: 1.05},
			func(v []float64) float64 { return v[0] / (v[1] + v[2]) },
		},
		{
			fmt.Sprintf("%s:1/(1/%s + 1/%s)", nameBulk, nameBulkLow, nameAEADBulk), report.P50,
			[]string{nameBulk, nameBulkLow, nameAEADBulk},
			report.Goal{AtLeast: 0.85},
			func(v []float64) float64 { return v[0] * (1/v[1] + 1/v[2]) },
		},
		{
			fmt.Sprintf("%s:(%s + 2 frames)", nameBeside, nameRPC), report.P99,
			[]string{nameBeside, nameRPC, nameBulk1500},
			report.Goal{AtMost: 1},
			func(v []float64) float64 {
				frame := float64(plainMTU) / v[2] * float64(core.Second)
				return v[0] / (v[1] + 2*frame)
			},
		},
	}
}

// combination compares more than two rows.
type combination struct {
	name   string
	metric report.Metric
	rows   []string
	goal   report.Goal
	of     func([]float64) float64 // the rows' figures in a round
}
