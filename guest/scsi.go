package guest

// HyperVControllers are the GUIDs of a VM's SCSI controllers on a Hyper-V host, by
// index: the guest finds a controller by its GUID, for the order of devices on the
// VMBus says nothing. They are those that hcsshim uses.
var HyperVControllers = [...]string{
	"df6d0690-79e5-55b6-a5ec-c1e2f77f580a",
	"0110f83b-de10-5172-a266-78bca56bf50a",
	"b5d2d8d4-3a75-51bf-945b-3444dc6b8579",
	"305891a9-b251-5dfe-91a2-c25d9212275b",
}
