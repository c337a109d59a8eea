//go:build windows && wine

package fileshare

// standInVariables say where Hyper-V's stand-in listens: see guest/channel.dialHvsock.
var standInVariables = []string{"PADDOCK_STANDIN", "WINEPREFIX", "WINEDEBUG", "WINEDLLOVERRIDES"}
