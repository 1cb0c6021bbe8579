package control

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// roles are what this test binary can play as a process of its own. Each prints a line when it is
// ready and then waits for the end of its standard input.
func roles() map[string]func(arguments []string) error {
	return map[string]func([]string) error{
		"runtime": playRuntime,
		"lender":  playLender,
		"server":  playServer,
	}
}

func awaitEnd() error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// playRuntime attaches as echo.
func playRuntime(arguments []string) error {
	c, err := Dial(arguments[0])
	if err != nil {
		return err
	}
	if _, _, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated}); err != nil {
		return err
	}
	fmt.Println("attached")
	return awaitEnd()
}

// playLender attaches, and hands its connection to its parent through file 3.
func playLender(arguments []string) error {
	c, err := Dial(arguments[0])
	if err != nil {
		return err
	}
	if _, _, err := c.Attach(Hello{Runtime: "echo", Mode: Mediated}); err != nil {
		return err
	}
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Control(func(fd uintptr) {
		failure = unix.Sendmsg(3, []byte("take it"), unix.UnixRights(int(fd)), nil, 0)
	})
	if err := errors.Join(err, failure); err != nil {
		return err
	}
	fmt.Println("attached")
	return awaitEnd()
}

// playServer listens, and is there to be killed.
func playServer(arguments []string) error {
	if _, err := Listen(Options{Path: arguments[0], Mode: 0o660, GID: -1}); err != nil {
		return err
	}
	fmt.Println("listening")
	return awaitEnd()
}

// firstLine reads what a child says when it is ready.
func firstLine(from io.Reader) string {
	line := make([]byte, 0, 1000)
	one := make([]byte, 1)
	for len(line) < cap(line) {
		if n, err := from.Read(one); n == 0 || err != nil || one[0] == '\n' {
			break
		}
		line = append(line, one[0])
	}
	return string(line)
}

// inherit makes a pair of sockets of which the second is for a child.
func inherit() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	theirs = os.NewFile(uintptr(fds[1]), "theirs")
	file := os.NewFile(uintptr(fds[0]), "ours")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), theirs, nil
}
