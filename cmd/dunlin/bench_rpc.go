package main

import (
	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/bench/load"
)

// rpcWindow is the calls outstanding where there are many: a burst of a worker. (guess)
const rpcWindow = 64

func benchRPCCommand() *cobra.Command {
	o := &benchOptions{}
	c := &cobra.Command{
		Use:   "rpc",
		Short: "Calls and remote writes between runtimes, beside TCP, QUIC and gRPC",
		Long: `Measure calls and remote writes between two runtimes over raw frames.

  floor/raw            two AF_XDP sockets in ping-pong and nothing else
  aead/64              two seals and two opens of the frames that a call of 64 B has
  rpc/64/encrypted     a call of 64 B and its reply, between ends that own a NIC queue each
  rpc/64/insecure      the same without encryption (and without proof of who the peer is)
  rpc/64/mediated      encrypted, the server behind an iokernel
  rpc/1024/...         the same with 1 KiB
  rpc/64/beside-bulk   calls in a session in which remote writes fill the link
  tcp/64               net.TCPConn, a process at each end
  quic/64, grpc/64     quic-go (TLS 1.3) and gRPC-Go (no encryption), the same way
  bulk/9000            remote writes of 256 KiB, in bytes per second that are in place; MTU 9000
  bulk/9000/insecure   the same without encryption
  bulk/1500            encrypted, MTU 1500
  goodput/0 to 30      bulk/1500 through a box that loses so many percent of the frames
  floor/bulk/9000      frames of that size from one AF_XDP socket to another; .../copied: the bytes
                       are copied in and out once
  aead/bulk/9000       sealing such frames, one CPU

The bytes of a row are a call's data; of floor/raw those of a frame; of bulk the MTU. quic-go and
gRPC-Go are built from bench/peers, a module of its own: run this in a clone of the repository.
` + benchEpilogue,
		Example: `  sudo dunlin bench rpc
  sudo dunlin bench rpc --rows '64' --json rpc.json --html rpc.html`,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c, load.RPC) },
	}
	o.addFlags(c)
	c.Flags().Uint64Var(&o.Rate, "rate", benchRate, "`calls` per second of the open loops")
	c.Flags().IntVar(&o.Window, "window", rpcWindow, "`calls` outstanding in the rows of a window")
	c.Flags().StringVar(&o.hgrm, "hgrm", "", "write a percentile file for each row into `dir`")
	return c
}
