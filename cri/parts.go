package cri

import "google.golang.org/protobuf/proto"

// Bounds of one message of a streamed list.
const (
	maxPartItems = 500
	maxPartBytes = 2 << 20
)

// sendInParts sends items in messages well below the size limit; none for an empty list.
func sendInParts[T proto.Message](items []T, send func([]T) error) error {
	start, size := 0, 0
	for i, item := range items {
		n := proto.Size(item)
		if i > start && (i-start >= maxPartItems || size+n > maxPartBytes) {
			if err := send(items[start:i]); err != nil {
				return err
			}
			start, size = i, 0
		}
		size += n
	}
	if start == len(items) {
		return nil
	}
	return send(items[start:])
}
