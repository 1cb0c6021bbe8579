package load

import (
	"fmt"
	"net"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

// asavie echoes with github.com/asavie/xdp, as its documentation shows it, but polling like
// everybody else here instead of sleeping in Poll. Its sockets cannot be handed over, so the
// process opens its own as root and gives up root before the first frame.
func (p *peer) asavie() error {
	link, err := net.InterfaceByName(p.Interface)
	if err != nil {
		return err
	}
	program, err := xdp.NewProgram(1)
	if err != nil {
		return err
	}
	defer program.Close()
	socket, err := xdp.NewSocket(link.Index, 0, &xdp.SocketOptions{
		NumFrames: frameChunks, FrameSize: chunkBytes,
		FillRingNumDescs: ringEntries, CompletionRingNumDescs: ringEntries,
		RxRingNumDescs: ringEntries, TxRingNumDescs: ringEntries,
	})
	if err != nil {
		return err
	}
	if err := program.Register(0, socket.FD()); err != nil {
		return err
	}
	if err := program.Attach(link.Index); err != nil {
		return err
	}
	if err := becomeNobody(p.UID); err != nil {
		return err
	}
	spinOn("echo")
	for {
		if n := socket.NumFreeFillSlots(); n > 0 {
			socket.Fill(socket.GetDescs(n))
		}
		n := socket.NumReceived()
		if n > 0 {
			received := socket.Receive(n)
			for _, d := range received {
				turnAround(socket.GetFrame(d))
			}
			socket.Transmit(received)
		}
		if n := socket.NumCompleted(); n > 0 {
			socket.Complete(n)
		} else if n == 0 && socket.NumTransmitted() > 0 {
			socket.Transmit(nil) // it does not repeat a system call that took a part of the frames
		}
	}
}

// becomeNobody gives up root, and with it all capabilities, on all threads.
func becomeNobody(uid int) error {
	if err := unix.Setgroups(nil); err != nil {
		return fmt.Errorf("give up groups: %w", err)
	}
	if err := unix.Setresgid(uid, uid, uid); err != nil {
		return fmt.Errorf("give up group 0: %w", err)
	}
	if err := unix.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("give up uid 0: %w", err)
	}
	return nil
}
