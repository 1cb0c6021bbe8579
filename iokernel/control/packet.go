package control

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// packet is a message in its final form, with the files beside it, which stay their owner's.
type packet struct {
	text  []byte
	files []*os.File
}

// pack encodes a message. The error says why nobody could receive it.
func pack(m message, files ...*os.File) (packet, error) {
	text, err := encode(m)
	if err == nil && len(files) > MaxFiles {
		err = fmt.Errorf("control: encode %s: %d files; the kernel passes at most %d", typeOf(m),
			len(files), MaxFiles)
	}
	return packet{text, files}, err
}

// send writes a packet.
func (p packet) send(conn *net.UnixConn) error {
	var rights []byte
	if len(p.files) > 0 {
		fds := make([]int, len(p.files))
		for i, f := range p.files {
			var err error
			if fds[i], err = fdOf(f); err != nil {
				return fmt.Errorf("control: send: %w", err)
			}
		}
		rights = unix.UnixRights(fds...)
	}
	if _, _, err := conn.WriteMsgUnix(p.text, rights, nil); err != nil {
		return fmt.Errorf("control: send: %w", err)
	}
	return nil
}

// fdOf is the descriptor of a file. Unlike File.Fd it leaves a non-blocking file as it is.
func fdOf(f *os.File) (int, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("file %s: %w", f.Name(), err)
	}
	number := -1
	if err := raw.Control(func(fd uintptr) { number = int(fd) }); err != nil {
		return -1, fmt.Errorf("file %s: %w", f.Name(), err)
	}
	return number, nil
}

// receive reads one message into buffer, which has MaxMessageBytes and one more, and at most
// maxFiles files, which are the caller's. The end of the connection is io.EOF; an empty message
// counts as that, as the kernel does not tell them apart. A message that breaks the rules is a
// *Refusal.
func receive(conn *net.UnixConn, buffer []byte, maxFiles int) (message, []*os.File, error) {
	var control []byte
	if maxFiles > 0 {
		control = make([]byte, unix.CmsgSpace(maxFiles*4))
	}
	// Without room for them the kernel closes files instead of handing them to us: nobody can fill
	// our table of descriptors. MSG_CTRUNC then says that there were some. What does arrive is
	// close-on-exec: package net asks for that.
	n, c, flags, _, err := conn.ReadMsgUnix(buffer, control)
	if err != nil {
		return nil, nil, err
	}
	if n == 0 {
		return nil, nil, io.EOF
	}
	files, err := parseFiles(control[:c])
	if err == nil && flags&unix.MSG_CTRUNC != 0 {
		err = Refuse(CodeFiles, "message with more than the %d files expected", maxFiles)
	}
	if err == nil && (flags&unix.MSG_TRUNC != 0 || n > MaxMessageBytes) {
		err = Refuse(CodeOversize, "message of more than %d bytes", MaxMessageBytes)
	}
	var m message
	if err == nil {
		m, err = decode(buffer[:n])
	}
	if err != nil {
		closeAll(files)
		return nil, nil, err
	}
	return m, files, nil
}

// parseFiles takes the descriptors out of control messages.
func parseFiles(control []byte) ([]*os.File, error) {
	if len(control) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, fmt.Errorf("control: receive files: %w", err)
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // something other than files, which carries no descriptors
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "from iokernel"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close() // a descriptor that was handed to us and never used has nothing to report
	}
}

// gone reports whether err says that the other side has closed the connection.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET)
}
