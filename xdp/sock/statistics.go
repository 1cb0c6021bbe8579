package sock

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Statistics are the kernel's counters of a socket, in frames or descriptors since it was opened.
type Statistics struct {
	RxDropped   uint64 // frames lost for another reason than a full rx ring, e.g. too long
	RxInvalid   uint64 // fill entries outside the frame memory; Linux 6.18 never counts them
	TxInvalid   uint64 // transmit descriptors outside the frame memory, too long, of bad options
	RxRingFull  uint64 // frames lost because the rx ring had no room
	RxFillEmpty uint64 // frames lost because the fill ring had no chunk (Linux 5.9)
	TxRingEmpty uint64 // times the kernel looked for descriptors and found none (Linux 5.9)
}

// Statistics reads the counters.
func (s *Socket) Statistics() (Statistics, error) {
	x, err := statistics(int(s.fd))
	if err != nil {
		return Statistics{}, fmt.Errorf("sock: statistics of %s: %w", s.file.Name(), err)
	}
	return Statistics{
		RxDropped:   x.Rx_dropped,
		RxInvalid:   x.Rx_invalid_descs,
		TxInvalid:   x.Tx_invalid_descs,
		RxRingFull:  x.Rx_ring_full,
		RxFillEmpty: x.Rx_fill_ring_empty_descs,
		TxRingEmpty: x.Tx_ring_empty_descs,
	}, nil
}

// ZeroCopy reports whether the driver reads and writes the frame memory itself.
func (s *Socket) ZeroCopy() (bool, error) {
	flags, err := options(int(s.fd))
	if err != nil {
		return false, fmt.Errorf("sock: options of %s: %w", s.file.Name(), err)
	}
	return flags&unix.XDP_OPTIONS_ZEROCOPY != 0, nil
}
