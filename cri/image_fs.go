package cri

import (
	"context"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/paddock-run/paddock/imageservice"
)

// ImageFsInfo tells the disk use of images. Containers are on the same file
// system, which an empty second list says.
func (s *Server) ImageFsInfo(ctx context.Context, _ *runtimeapi.ImageFsInfoRequest) (*runtimeapi.ImageFsInfoResponse, error) {
	info, err := s.images.FSInfo(ctx)
	if err != nil {
		return nil, err
	}
	return &runtimeapi.ImageFsInfoResponse{ImageFilesystems: []*runtimeapi.FilesystemUsage{filesystemUsage(&info)}}, nil
}

func filesystemUsage(info *imageservice.FSInfo) *runtimeapi.FilesystemUsage {
	t := info.Time
	if t.IsZero() {
		t = time.Now()
	}
	return &runtimeapi.FilesystemUsage{
		Timestamp:  t.UnixNano(),
		FsId:       &runtimeapi.FilesystemIdentifier{Mountpoint: info.Mountpoint},
		UsedBytes:  u64(info.UsedBytes),
		InodesUsed: u64(info.Inodes),
	}
}
